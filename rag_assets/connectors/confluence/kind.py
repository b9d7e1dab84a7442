"""Registers the kind `confluence`: pages, blog posts and attachments."""

from __future__ import annotations

from rag_assets.connectors.atlassian import SIGN_IN
from rag_assets.connectors.confluence.options import ConfluenceOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported

KIND = ConnectorKind(ConfluenceOptions, imported("rag_assets.connectors.confluence.connector:ConfluenceConnector"), (
    Card("confluence", "Confluence", "Wiki pages, blog posts and attachments.", "menu_book", "url", (
        *SIGN_IN,
        FormField("spaces", "Keys of spaces", "list"),
        FormField("attachments", "Attachments become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
