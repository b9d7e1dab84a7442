"""Directories of people and groups: one YAML file each in `RAG_DIRECTORIES_DIR`, of the kind `file` or `ldap`."""

from rag_assets.directories.files import any_directory, directory_files, read_directory, version_tag
from rag_assets.directories.sync import sync_directories

__all__ = ["any_directory", "directory_files", "read_directory", "sync_directories", "version_tag"]
