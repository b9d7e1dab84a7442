"""The contract of the index, unchanged, over a Qdrant server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.retrieval.index import VectorIndex
from tests.contract.index.conftest import _server
from tests.contract.index.test_generations import *  # noqa: F403
from tests.contract.index.test_searches import *  # noqa: F403
from tests.contract.index.test_writes import *  # noqa: F403

pytestmark = pytest.mark.real_servers


@pytest.fixture
def index(qdrant_url: str) -> Iterator[VectorIndex]:
    """An empty index there."""
    yield from _server(Path())
