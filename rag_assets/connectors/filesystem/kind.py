"""Registers the kind `folder`: files of this machine or of a mounted share."""

from __future__ import annotations

from rag_assets.connectors.filesystem.browse import list_folders
from rag_assets.connectors.filesystem.options import FilesystemOptions, PlaceOptions
from rag_assets.connectors.kind import Browse, Card, ConnectorKind, FormField, imported

KIND = ConnectorKind(FilesystemOptions, imported("rag_assets.connectors.filesystem.connector:FilesystemConnector"), (
    Card("folder", "Folder", "Files of this machine or of a mounted share.", "folder", "root", (
        FormField("root", "Folder (absolute path)", required=True, offered="folder", narrows=True),
        FormField("include", "Include patterns (**/*.md, …)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
    )),
), readers="file or source", browse=Browse("Browse folders", PlaceOptions, list_folders))  # fmt: skip
