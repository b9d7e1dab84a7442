"""Registers the kind `jira`: issues, comments and attachments."""

from __future__ import annotations

from rag_assets.connectors.atlassian import SIGN_IN
from rag_assets.connectors.jira.options import JiraOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported

KIND = ConnectorKind(JiraOptions, imported("rag_assets.connectors.jira.connector:JiraConnector"), (
    Card("jira", "Jira", "Issues, comments and attachments of Jira.", "task_alt", "url", (
        *SIGN_IN,
        FormField("projects", "Keys of projects", "list"),
        FormField("jql", "A further condition in JQL"),
        FormField("attachments", "Attachments become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
