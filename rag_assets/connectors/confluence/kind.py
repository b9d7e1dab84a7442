"""Registers the kind `confluence`: pages, blog posts and attachments."""

from __future__ import annotations

from rag_assets.connectors.confluence.options import ConfluenceOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: ConfluenceOptions, context: ConnectorContext) -> Connector:
    """Make the connector."""
    from rag_assets.connectors.confluence.connector import ConfluenceConnector

    return ConfluenceConnector(options, context)


_BASIC, _BEARER = (("auth.type", (name,)) for name in ("basic", "bearer"))
KIND = ConnectorKind(ConfluenceOptions, connect, (
    Card("confluence", "Confluence", "Wiki pages, blog posts and attachments.", "menu_book", "url", (
        FormField("url", "URL of the site", required=True),
        FormField("edition", "Edition", "choice", default="cloud", choices=("cloud", "data_center")),
        FormField("auth.type", "How it signs in", "choice", default="basic", choices=("basic", "bearer")),
        FormField("auth.user", "E-mail of the account", required=True, only=_BASIC),
        FormField("auth.password", "API token", "secret", required=True, only=_BASIC),
        FormField("auth.token", "Personal access token", "secret", required=True, only=_BEARER),
        FormField("spaces", "Keys of spaces", "list"),
        FormField("attachments", "Attachments become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
