"""Registers the kind `notion`: pages and rows of Notion."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_assets.connectors.notion.options import NotionOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: NotionOptions, context: ConnectorContext) -> Connector:
    """Make the connector."""
    from rag_assets.connectors.notion.connector import NotionConnector

    return NotionConnector(options, context)


KIND = ConnectorKind(NotionOptions, connect, (
    Card("notion", "Notion", "Pages and rows that are shared with a connection.", "article", "data_sources", (
        FormField("token", "Access token of the connection", "secret", required=True),
        FormField("data_sources", "Data sources (all that is shared)", "list"),
        FormField("attachments", "Files in properties become documents"),
    )),
))  # fmt: skip
