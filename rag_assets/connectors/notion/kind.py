"""Registers the kind `notion`: pages and rows of Notion."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.notion.options import NotionOptions

KIND = ConnectorKind(NotionOptions, imported("rag_assets.connectors.notion.connector:NotionConnector"), (
    Card("notion", "Notion", "Pages and rows that are shared with a connection.", "article", "data_sources", (
        FormField("token", "Access token of the connection", "secret", required=True),
        FormField("data_sources", "Data sources (all that is shared)", "list"),
        FormField("attachments", "Files in properties become documents"),
    )),
))  # fmt: skip
