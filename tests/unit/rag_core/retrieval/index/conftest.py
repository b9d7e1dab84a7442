"""An embedded index of its own for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.retrieval.engines.edge import EdgeIndex
from tests.support.postgres import fast_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where an index may be made."""
    path = fast_folder()
    yield path / "index"
    shutil.rmtree(path)


@pytest.fixture
def index(folder: Path) -> Iterator[EdgeIndex]:
    """An empty index."""
    opened = EdgeIndex(folder)
    yield opened
    opened.close()
