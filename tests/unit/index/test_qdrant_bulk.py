"""A Qdrant server builds no search graph while a generation is filled. There is none here, so its part is played."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from rag_core.index.base import GenerationSpec
from rag_core.index.qdrant import QdrantIndex

GREEN, YELLOW = models.CollectionStatus.GREEN, models.CollectionStatus.YELLOW


class Server(QdrantClient):
    """qdrant-client's memory mode, with the optimizer it lacks: a threshold, and a status that changes."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.threshold: int | None = None
        self.status: Iterator[models.CollectionStatus] = repeat(GREEN)

    def create_collection(self, *args: Any, optimizers_config: Any = None, **rest: Any) -> bool:
        self.threshold = optimizers_config.indexing_threshold
        return super().create_collection(*args, **rest)

    def update_collection(self, *args: Any, optimizers_config: Any = None, **rest: Any) -> bool:
        self.threshold = optimizers_config.indexing_threshold
        return True

    def get_collection(self, *args: Any, **rest: Any) -> models.CollectionInfo:
        return super().get_collection(*args, **rest).model_copy(update={"status": next(self.status)})


@pytest.fixture
def server() -> Server:
    return Server()


def test_graphs_are_deferred_while_a_generation_is_filled_and_built_before_it_is_ready(server: Server) -> None:
    pauses: list[float] = []
    index = QdrantIndex(server, local=True, pause=pauses.append)
    index.create(GenerationSpec("g1", 4, "e", "c"))
    assert server.threshold == 0
    index.count("g1")  # the specification is read now, so that every look below is at the status
    looks = [GREEN, YELLOW, YELLOW, GREEN, GREEN, GREEN]
    server.status = iter(looks)
    index.optimize("g1")
    assert server.threshold == 20_000
    assert len(pauses) == len(looks), "it does not take the green before the start for the end"


def test_a_generation_that_readers_are_moved_to_is_indexed_from_then_on(server: Server) -> None:
    index = QdrantIndex(server, local=True)
    index.create(GenerationSpec("g1", 4, "e", "c"))
    index.promote("g1")
    assert server.threshold == 20_000
