"""Registers the kind `mediawiki`: pages and uploaded files of a wiki."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.mediawiki.options import MediaWikiOptions

_PASSWORD, _BEARER = (("login.type", (name,)) for name in ("password", "bearer"))
KIND = ConnectorKind(MediaWikiOptions, imported("rag_assets.connectors.mediawiki.connector:MediaWikiConnector"), (
    Card("mediawiki", "MediaWiki", "Pages and uploaded files of a wiki.", "menu_book", "url", (
        FormField("url", "Its API (https://…/api.php)", required=True),
        FormField("login.type", "How it signs in", "choice", choices=("", "password", "bearer")),
        FormField("login.user", "Name of the bot password (Reader@rag)", required=True, only=_PASSWORD),
        FormField("login.password", "Password", "secret", required=True, only=_PASSWORD),
        FormField("login.token", "Token", "secret", required=True, only=_BEARER),
        FormField("namespaces", "Namespaces (Main, Help, …)", "list"),
        FormField("include", "Include patterns (Manual/**, …)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
        FormField("attachments", "Uploaded files become documents"),
        FormField("directory", "Directory that knows its groups"),
    )),
), readers="file or source")  # fmt: skip
