"""Registers the kind `web`: pages found by links and sitemaps."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.web.options import WebOptions

KIND = ConnectorKind(WebOptions, imported("rag_assets.connectors.web.connector:WebConnector"), (
    Card("site", "Web site", "Pages found by links and sitemaps.", "language", "seeds", (
        FormField("seeds", "Where the crawl starts (URLs)", "list", required=True),
        FormField("include", "Paths in scope (/docs/*, …)", "list"),
        FormField("exclude", "Paths out of scope", "list"),
        FormField("max_pages", "Pages at most", "number", default=2000),
    )),
    Card("page", "One web page", "A single URL, read again by the schedule.", "link", "seeds", (
        FormField("seeds", "URL", "list", required=True),
    ), {"max_pages": 1, "max_depth": 0, "use_sitemaps": False}),
), readers="file or source", libraries=("protego", "w3lib"))  # fmt: skip
