"""Folders of files as a source."""

from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.options import FilesystemOptions
