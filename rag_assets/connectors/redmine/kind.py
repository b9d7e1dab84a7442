"""Registers the kind `redmine`: wiki pages, issues and files of projects."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.redmine.options import RedmineOptions

KIND = ConnectorKind(RedmineOptions, imported("rag_assets.connectors.redmine.connector:RedmineConnector"), (
    Card("redmine", "Redmine", "Wiki pages, issues and files of projects.", "task", "url", (
        FormField("url", "URL of Redmine", required=True),
        FormField("key", "API key", "secret", required=True),
        FormField("projects", "Projects (their identifiers)", "list"),
        FormField("exclude", "Projects that are left out", "list"),
        FormField("markup", "Text formatting", "choice", default="textile", choices=("textile", "markdown")),
        FormField("attachments", "Attachments become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
