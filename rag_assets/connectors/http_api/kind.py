"""Registers the kind `api`: a JSON endpoint that lists documents."""

from __future__ import annotations

from rag_assets.connectors.http_api.options import HttpApiOptions, SampleOptions
from rag_assets.connectors.kind import Browse, Card, ConnectorKind, FormField, Offers
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: HttpApiOptions, context: ConnectorContext) -> Connector:
    """Make the connector. Its libraries are imported here."""
    from rag_assets.connectors.http_api.connector import HttpApiConnector

    return HttpApiConnector(options, context)


def browse(options: SampleOptions, context: ConnectorContext) -> Offers:
    """Show an answer, its lists and the fields of their items."""
    from rag_assets.connectors.http_api.browse import show_answer

    return show_answer(options, context)


KIND = ConnectorKind(HttpApiOptions, connect, (
    Card("api", "HTTP API", "A JSON endpoint that lists documents.", "api", "url", (
        FormField("url", "URL of the list", required=True),
        FormField("items", "Path of the items ($.items)", default="$", offered="list", narrows=True),
        FormField("fields.id", "Path of the id ($.id)", required=True, default="$.id", offered="field"),
        FormField("fields.content", "Path of the text ($.text)", required=True, default="$.text", offered="field"),
        FormField("fields.title", "Path of the title ($.title)", offered="field"),
        FormField("auth.token", "Bearer token", "secret"),
    )),
), readers="file or source", libraries=("jsonpath",),
   browse=Browse("Show a sample answer", SampleOptions, browse))  # fmt: skip
