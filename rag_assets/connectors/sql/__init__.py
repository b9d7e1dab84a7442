"""Rows of a table or of a read-only query as a source: PostgreSQL, MySQL and SQLite."""

from rag_assets.connectors.sql.connector import SqlConnector
from rag_assets.connectors.sql.options import SqlOptions
