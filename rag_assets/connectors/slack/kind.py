"""Registers the kind `slack`: threads, messages and files of channels."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.slack.options import SlackOptions

KIND = ConnectorKind(SlackOptions, imported("rag_assets.connectors.slack.connector:SlackConnector"), (
    Card("slack", "Slack", "Threads, messages and files of Slack channels.", "forum", "channels", (
        FormField("token", "Token of the app", "secret", required=True),
        FormField("channels", "Channels (names or ids)", "list"),
        FormField("exclude", "Channels that are left out", "list"),
        FormField("private", "Private channels that the app is in"),
        FormField("archived", "Archived channels"),
        FormField("files", "Files become documents"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
