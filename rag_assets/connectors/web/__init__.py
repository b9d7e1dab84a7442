"""Web sites as a source."""

from rag_assets.connectors.web.connector import WebConnector
from rag_assets.connectors.web.options import WebOptions
