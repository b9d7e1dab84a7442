"""For those who write connectors: a server whose answers tests choose, and the tests that every connector passes.

Needs pytest, which the platform itself does not.
"""

from rag_assets.testing.connector_suite import ConnectorSuite, Place, ReaderSuite, SharedPlace
from rag_assets.testing.fake_server import LOOPBACK, Answer, Asked, FakeServer
