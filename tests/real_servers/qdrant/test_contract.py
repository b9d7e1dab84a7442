"""The contract of the index, unchanged, over a Qdrant server in each of the ways that production has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import models

from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import QdrantLayout
from rag_core.retrieval.index import GenerationSpec, VectorIndex
from rag_core.settings import QdrantSettings
from tests.contract.index.conftest import _server
from tests.contract.index.test_generations import *  # noqa: F403
from tests.contract.index.test_searches import *  # noqa: F403
from tests.contract.index.test_writes import *  # noqa: F403

pytestmark = pytest.mark.real_servers
_STRICT = models.StrictModeConfig(
    enabled=True, unindexed_filtering_retrieve=False, unindexed_filtering_update=False, max_timeout=60
)


class _Strict(QdrantIndex):
    """Every collection that it creates refuses filters on fields without an index."""

    def create(self, spec: GenerationSpec) -> None:
        super().create(spec)
        own = self._collections.name_of(spec.name)
        self._call(lambda client: client.update_collection(own, strict_mode_config=_STRICT))


WAYS: dict[str, tuple[int, type[QdrantIndex], dict[str, Any]]] = {
    "alone": (0, QdrantIndex, {}),
    "in-strict-mode": (0, _Strict, {}),
    "with-shard-keys": (1, QdrantIndex, {"qdrant_large_tenants": "acme,whale", "qdrant_write_parallel": 3}),
    "in-copies": (2, QdrantIndex, {"qdrant_shards": 3, "qdrant_replicas": 2, "qdrant_write_consistency": 2}),
}
"""By name, with the fewest nodes of a cluster (0: none is needed) and the settings of the layout."""


@pytest.fixture(scope="session")
def nodes(qdrant_rest: str) -> int:
    """How many nodes the server's cluster has; 0 when it is none."""
    headers = {"api-key": os.environ.get("RAG_TEST_QDRANT_KEY", "")}
    try:
        answer = httpx.get(f"{qdrant_rest}/cluster", headers=headers, timeout=10).json()
    except httpx.HTTPError:
        return 0
    return len(answer["result"].get("peers", {}))


@pytest.fixture(params=WAYS)
def index(request: pytest.FixtureRequest, qdrant_url: str, nodes: int) -> Iterator[VectorIndex]:
    """An empty index there."""
    needed, kind, given = WAYS[request.param]
    if nodes < needed:
        pytest.skip(f"needs a cluster of {needed} or more nodes; the server has {nodes}")
    yield from _server(Path(), kind, QdrantLayout(QdrantSettings(**given)))
