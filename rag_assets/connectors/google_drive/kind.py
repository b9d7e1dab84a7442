"""Registers the kind `google_drive`: files of Google Drive and its shared drives."""

from __future__ import annotations

from rag_assets.connectors.google_drive.options import GoogleDriveOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: GoogleDriveOptions, context: ConnectorContext) -> Connector:
    """Make the connector."""
    from rag_assets.connectors.google_drive.connector import GoogleDriveConnector

    return GoogleDriveConnector(options, context)


_ACCOUNT, _BEARER = (("credentials.type", (name,)) for name in ("service_account", "bearer"))
KIND = ConnectorKind(GoogleDriveOptions, connect, (
    Card("google_drive", "Google Drive", "Files of folders and shared drives at Google.", "add_to_drive", "folders", (
        FormField("folders", "Folders (their ids)", "list"),
        FormField("drives", "Shared drives (their ids)", "list"),
        FormField("credentials.type", "Credentials", "choice", default="service_account",
                  choices=("service_account", "bearer")),
        FormField("credentials.key", "JSON key of the service account", "secret", required=True, only=_ACCOUNT),
        FormField("subject", "User whom the account acts for", only=_ACCOUNT),
        FormField("credentials.token", "Bearer token", "secret", required=True, only=_BEARER),
        FormField("include", "Include patterns (**/*.md, …)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
