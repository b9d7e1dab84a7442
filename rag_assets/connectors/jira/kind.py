"""Registers the kind `jira`: issues, comments and attachments."""

from __future__ import annotations

from rag_assets.connectors.atlassian import SIGN_IN
from rag_assets.connectors.jira.options import JiraOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: JiraOptions, context: ConnectorContext) -> Connector:
    """Make the connector."""
    from rag_assets.connectors.jira.connector import JiraConnector

    return JiraConnector(options, context)


KIND = ConnectorKind(JiraOptions, connect, (
    Card("jira", "Jira", "Issues, comments and attachments of Jira.", "task_alt", "url", (
        *SIGN_IN,
        FormField("projects", "Keys of projects", "list"),
        FormField("jql", "A further condition in JQL"),
        FormField("attachments", "Attachments become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
