"""JSON list endpoints as a source."""

from rag_assets.connectors.http_api.connector import HttpApiConnector
from rag_assets.connectors.http_api.options import HttpApiOptions
