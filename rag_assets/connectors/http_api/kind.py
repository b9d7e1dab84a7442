"""Registers the kind `api`: a JSON endpoint that lists documents."""

from __future__ import annotations

from rag_assets.connectors.http_api.options import HttpApiOptions, SampleOptions
from rag_assets.connectors.kind import Browse, Card, ConnectorKind, FormField, imported

_BROWSE = Browse("Show a sample answer", SampleOptions, imported("rag_assets.connectors.http_api.browse:show_answer"))
KIND = ConnectorKind(HttpApiOptions, imported("rag_assets.connectors.http_api.connector:HttpApiConnector"), (
    Card("api", "HTTP API", "A JSON endpoint that lists documents.", "api", "url", (
        FormField("url", "URL of the list", required=True),
        FormField("items", "Path of the items ($.items)", default="$", offered="list", narrows=True),
        FormField("fields.id", "Path of the id ($.id)", required=True, default="$.id", offered="field"),
        FormField("fields.content", "Path of the text ($.text)", required=True, default="$.text", offered="field"),
        FormField("fields.title", "Path of the title ($.title)", offered="field"),
        FormField("auth.token", "Bearer token", "secret"),
    )),
), readers="file or source", libraries=("jsonpath",), browse=_BROWSE)  # fmt: skip
