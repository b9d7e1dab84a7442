from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.outside import ConnectorContext

Open = Callable[..., FilesystemConnector]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder to put files into, with a neighbour that must never be read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def connect(root: Path) -> Open:
    """Make a connector on `root` with the given options."""

    def make(*, max_file_bytes: int = 1_000_000, **options: Any) -> FilesystemConnector:
        given = {"kind": "folder", "root": str(root), **options}
        return FilesystemConnector(FilesystemOptions.model_validate(given), ConnectorContext(max_file_bytes))

    return make
