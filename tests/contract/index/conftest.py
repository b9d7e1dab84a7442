"""Every implementation of the index interface, one after the other."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.qdrant.collections import Installation
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import ONE_NODE, QdrantLayout
from rag_core.retrieval.engines.remote import RemoteIndex
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import QdrantSettings
from tests.support.postgres import fast_folder
from tests.support.qdrant_shards import Cluster
from tests.support.query_server import INDEX_SECRET, running

SERVER = os.environ.get("RAG_TEST_QDRANT_URL")


@pytest.fixture(params=["edge", "qdrant-local", "qdrant-shards", "remote", *(["qdrant-server"] if SERVER else [])])
def index(request: pytest.FixtureRequest) -> Iterator[VectorIndex]:
    """An empty index. Edge writes to memory where it can: nothing here tests a disk."""
    openers = {
        "edge": _edge,
        "qdrant-local": _local,
        "qdrant-shards": _shards,
        "remote": _remote,
        "qdrant-server": _server,
    }
    opener = openers[request.param]
    folder = fast_folder()
    yield from opener(folder)
    shutil.rmtree(folder)


def _edge(folder: Path) -> Iterator[VectorIndex]:
    index = EdgeIndex(folder / "index")
    yield index
    index.close()


def _local(folder: Path) -> Iterator[VectorIndex]:
    index = QdrantIndex.in_memory()
    yield index
    index.close()


def _shards(folder: Path) -> Iterator[VectorIndex]:
    """The part of a cluster is played: shards by tenant, and writes side by side."""
    chosen = QdrantSettings(qdrant_large_tenants="acme,whale", qdrant_write_parallel=3, qdrant_write_points=2)
    index = QdrantIndex(Cluster(), layout=QdrantLayout(chosen), pause=lambda _: None)
    yield index
    index.close()


def _remote(folder: Path) -> Iterator[VectorIndex]:
    with running(folder) as server:
        index = RemoteIndex(server.index_target, INDEX_SECRET, timeout=30, retry=0)
        yield index
        index.close()


def _server(
    folder: Path, kind: type[QdrantIndex] = QdrantIndex, layout: QdrantLayout = ONE_NODE, key: str | None = None
) -> Iterator[QdrantIndex]:
    assert SERVER is not None
    mine = Installation(f"test-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex)
    key = key or os.environ.get("RAG_TEST_QDRANT_KEY")
    index = kind.connect(SERVER, key, 30, installation=lambda: mine, layout=layout)
    yield index
    index.discard()  # only what the test made: the server may be somebody's
    index.close()
