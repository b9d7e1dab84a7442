"""Writes to a Qdrant server side by side: nothing is marked that the server has not applied. Its part is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import text

from rag_core.errors import Reason, Unavailable
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import QdrantLayout
from rag_core.retrieval.engines.qdrant.nodes import Node
from rag_core.retrieval.index import plan_capacity
from rag_core.settings import Settings
from tests.support.index_points import SPEC, ask, document
from tests.support.pipeline import PipelineHarness, prose
from tests.support.qdrant_server import Door, StandIn

SIDE_BY_SIDE = QdrantLayout(Settings(qdrant_write_parallel=4, qdrant_write_points=2))
DOCUMENTS = [document(f"d{number}", ["a pump", f"valve number {number}"]) for number in range(5)]


def index_on(server: StandIn, layout: QdrantLayout = SIDE_BY_SIDE) -> QdrantIndex:
    index = QdrantIndex(server, layout=layout)
    index.create(SPEC)
    return index


def test_writes_side_by_side_end_with_one_flush() -> None:
    server = StandIn()
    index = index_on(server)
    assert index.apply("g1", DOCUMENTS).upserted == 10
    assert server.log == ["upsert"] * 5 + ["delete"]
    assert index.count("g1") == 10
    index.promote("g1")
    assert ask(index, "valve number 3")[0] == "valve number 3"


def test_alone_each_write_waits() -> None:
    server = StandIn()
    index_on(server, QdrantLayout(Settings(qdrant_write_points=4))).apply("g1", DOCUMENTS)
    assert server.log == ["upsert, waited"] * 3


def test_what_the_server_took_and_could_not_apply_is_an_error() -> None:
    server = StandIn()
    index = index_on(server)
    server.drops = {2}
    with pytest.raises(Unavailable) as refused:
        index.apply("g1", DOCUMENTS)
    assert refused.value.reason is Reason.INDEX_UNAVAILABLE
    server.drops = set()
    index.apply("g1", DOCUMENTS)
    assert index.count("g1") == 10


def test_an_update_that_was_not_applied_is_no_update_although_its_points_exist() -> None:
    server = StandIn()
    index = index_on(server)
    index.apply("g1", DOCUMENTS)
    server.drops = {0}
    with pytest.raises(Unavailable):
        index.apply("g1", [document(f"d{n}", ["a pump", f"valve number {n}"], version=2) for n in range(5)])


def test_a_write_whose_answer_is_lost_is_repeated_with_the_others() -> None:
    door = Door(StandIn())
    index = QdrantIndex([Node(cast("Any", door))], layout=SIDE_BY_SIDE, retry=30)
    index.create(SPEC)
    door.loses = "upsert"
    index.apply("g1", DOCUMENTS)
    assert (door.loses, index.count("g1")) == ("", 10)


def _marked(flow: PipelineHarness) -> int:
    with flow.store.engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM rag.generation_documents")) or 0


def test_the_marks_come_after_the_flush_and_none_comes_when_a_write_failed(
    flow: PipelineHarness, tmp_path: Path
) -> None:
    server = StandIn()
    flow.index = QdrantIndex(server, layout=SIDE_BY_SIDE)
    for number in range(6):
        flow.connector.put(f"{number}.txt", prose(number))
    server.drops = {1}
    with pytest.raises(Unavailable):
        flow.run()
    assert _marked(flow) == 0
    server.drops = set()
    server.log.clear()
    assert flow.run().balanced
    assert "delete" in server.log
    assert server.queue == []
    assert _marked(flow) == 6


def test_the_preset_of_a_cluster_writes_side_by_side() -> None:
    assert int(plan_capacity(100_000_000).settings["RAG_QDRANT_WRITE_PARALLEL"]) > 1
    assert "RAG_QDRANT_WRITE_PARALLEL" not in plan_capacity(100_000, replicas=1).settings
