"""Files of a Git repository at a ref as a source."""

from rag_assets.connectors.git.connector import GitConnector
from rag_assets.connectors.git.options import GitOptions
