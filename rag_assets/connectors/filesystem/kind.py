"""Registers the kind `folder`: files of this machine or of a mounted share."""

from __future__ import annotations

from rag_assets.connectors.filesystem.browse import list_folders
from rag_assets.connectors.filesystem.options import FilesystemOptions, PlaceOptions
from rag_assets.connectors.kind import Browse, Card, ConnectorKind, FormField
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Connector


def connect(options: FilesystemOptions, context: ConnectorContext) -> Connector:
    """Make the connector."""
    from rag_assets.connectors.filesystem.connector import FilesystemConnector

    return FilesystemConnector(options, max_file_bytes=context.max_file_bytes, rules=context.paths)


KIND = ConnectorKind(FilesystemOptions, connect, (
    Card("folder", "Folder", "Files of this machine or of a mounted share.", "folder", "root", (
        FormField("root", "Folder (absolute path)", required=True, offered="folder", narrows=True),
        FormField("include", "Include patterns (**/*.md, …)", "list"),
        FormField("exclude", "Exclude patterns", "list"),
    )),
), readers="file or source", browse=Browse("Browse folders", PlaceOptions, list_folders))  # fmt: skip
