"""Registers the kind `http_api`: a JSON endpoint that lists documents."""

from __future__ import annotations

from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: HttpApiOptions, context: ConnectorContext) -> Connector:
    """Make the connector. Its libraries are imported here."""
    from rag_assets.connectors.http_api.connector import HttpApiConnector

    return HttpApiConnector(options, context)


KIND = ConnectorKind(HttpApiOptions, connect, (
    Card("api", "HTTP API", "A JSON endpoint that lists documents.", "api", "url", (
        FormField("url", "URL of the list", required=True),
        FormField("items", "Path of the items ($.items)", default="$"),
        FormField("fields.id", "Path of the id ($.id)", required=True, default="$.id"),
        FormField("fields.content", "Path of the text ($.text)", required=True, default="$.text"),
        FormField("fields.title", "Path of the title ($.title)"),
        FormField("auth.token", "Bearer token", "secret"),
    )),
), readers="file or source", libraries=("jsonpath",))  # fmt: skip
