"""Registers the kind `sharepoint`: files and pages of SharePoint and OneDrive."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.sharepoint.options import SharePointOptions

KIND = ConnectorKind(SharePointOptions, imported("rag_assets.connectors.sharepoint.connector:SharePointConnector"), (
    Card("sharepoint", "SharePoint and OneDrive", "Files of sites and OneDrives.", "folder_shared", "sites", (
        FormField("sites", "Sites (https://acme.sharepoint.com/sites/handbook)", "list"),
        FormField("users", "People whose OneDrive is read (ann@acme.example)", "list"),
        FormField("tenant_id", "Directory (tenant) id", required=True),
        FormField("client_id", "Application (client) id", required=True),
        FormField("client_secret", "Client secret", "secret", required=True),
        FormField("include", "Paths from the library on (Documents/**)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
        FormField("pages", "Pages of the sites are read too"),
        FormField("directory", "Directory that knows its users and groups"),
    )),
), readers="file or source")  # fmt: skip
