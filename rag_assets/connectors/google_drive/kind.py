"""Registers the kind `google_drive`: files of Google Drive and its shared drives."""

from __future__ import annotations

from rag_assets.connectors.google_drive.options import GoogleDriveOptions
from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported

_ACCOUNT, _BEARER = (("credentials.type", (name,)) for name in ("service_account", "bearer"))
_CONNECTOR = imported("rag_assets.connectors.google_drive.connector:GoogleDriveConnector")
KIND = ConnectorKind(GoogleDriveOptions, _CONNECTOR, (
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
