"""Writes to a Qdrant server side by side: nothing is marked that the server has not applied. Its part is played. What
a Qdrant server is asked for beyond points and searches. There is none here, so its part is played."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import pytest
from qdrant_client import models
from sqlalchemy import text

from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.retrieval.engines.edge.layout import config
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import QdrantLayout
from rag_core.retrieval.engines.qdrant.nodes import Node
from rag_core.retrieval.index import GenerationSpec, SearchMode, plan_capacity
from rag_core.settings import QdrantSettings, Settings
from tests.support import index_points
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


GREEN, YELLOW = models.CollectionStatus.GREEN, models.CollectionStatus.YELLOW


class Server(StandIn):
    """With an optimizer: a threshold, and a status that changes. It keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold: int | None = None
        self.created: dict[str, Any] = {}
        self.changed: dict[str, Any] = {}
        self.dense_params: list[models.SearchParams | None] = []
        self.status: Iterator[models.CollectionStatus] = repeat(GREEN)

    def create_collection(self, *args: Any, optimizers_config: Any = None, **rest: Any) -> bool:
        self.threshold = optimizers_config.indexing_threshold
        self.created = rest
        return super().create_collection(*args, **rest)

    def query_points(self, *args: Any, **rest: Any) -> models.QueryResponse:
        if rest["using"] == "dense":
            self.dense_params.append(rest.pop("search_params"))  # the memory mode has no search graph to set up
        return super().query_points(*args, **rest)

    def query_batch_points(self, collection: str, requests: Any, **rest: Any) -> list[models.QueryResponse]:
        self.dense_params += [item.params for item in requests if item.using == "dense"]
        plain = [item.model_copy(update={"params": None}) if item.using == "dense" else item for item in requests]
        return super().query_batch_points(collection, plain, **rest)

    def update_collection(self, *args: Any, optimizers_config: Any = None, **rest: Any) -> bool:
        if optimizers_config is not None:
            self.threshold = optimizers_config.indexing_threshold
        self.changed |= rest
        return True

    def get_collection(self, *args: Any, **rest: Any) -> models.CollectionInfo:
        info = super().get_collection(*args, **rest)
        graph, small = self.created.get("hnsw_config"), self.created.get("quantization_config")
        if graph is not None:
            info.config.hnsw_config.m, info.config.hnsw_config.ef_construct = graph.m, graph.ef_construct
            info.config.quantization_config = small
        return info.model_copy(update={"status": next(self.status)})


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
    assert server.threshold == QdrantSettings().qdrant_graph_from_kb
    assert len(pauses) == len(looks), "it does not take the green before the start for the end"


def test_a_generation_that_readers_are_moved_to_is_indexed_from_then_on(server: Server) -> None:
    index = QdrantIndex(server, local=True)
    index.create(GenerationSpec("g1", 4, "e", "c"))
    index.promote("g1")
    assert server.threshold == QdrantSettings().qdrant_graph_from_kb


def test_the_layout_of_the_settings_reaches_the_server(server: Server) -> None:
    chosen = QdrantSettings(
        qdrant_shards=12,
        qdrant_replicas=3,
        qdrant_write_consistency=2,
        qdrant_vectors_on_disk=True,
        qdrant_indexes_on_disk=True,
        qdrant_quantize=False,
        qdrant_hnsw_m=24,
        qdrant_hnsw_ef_construct=150,
    )
    QdrantIndex(server, layout=QdrantLayout(chosen)).create(GenerationSpec("g1", 4, "e", "c"))
    assert (server.created["shard_number"], server.created["replication_factor"]) == (12, 3)
    assert server.created["write_consistency_factor"] == 2
    assert server.created["vectors_config"]["dense"].on_disk is True
    assert server.created["sparse_vectors_config"]["lexical"].index.on_disk is True
    assert server.created["quantization_config"] is None
    assert (server.created["hnsw_config"].m, server.created["hnsw_config"].ef_construct) == (24, 150)
    assert {field for field, kind in server.indexes["rag_g1"].items() if kind.on_disk is not True} == set()
    assert server.indexes["rag_g1"]["tenant"].is_tenant is True


def test_both_engines_have_the_same_search_graph_by_default(server: Server) -> None:
    QdrantIndex(server).create(GenerationSpec("g1", 4, "e", "c"))
    assert server.created["quantization_config"].scalar.type is models.ScalarType.INT8
    theirs, ours = server.created["hnsw_config"], config(4).vectors["dense"]
    assert (theirs.m, theirs.ef_construct) == (ours.hnsw_config.m, ours.hnsw_config.ef_construct)
    assert ours.quantization_config is not None


@pytest.mark.parametrize(
    ("has", "builds"),
    [
        ({"m": 32, "ef_construct": 400, "quantized": True}, False),
        ({"m": 16, "ef_construct": 400, "quantized": True}, True),
        ({"m": 32, "ef_construct": 400, "quantized": False}, True),
    ],
)
def test_a_collection_of_other_settings_gets_a_graph_of_these_from_its_vectors(
    server: Server, has: dict[str, Any], builds: bool
) -> None:
    before = QdrantSettings(
        qdrant_hnsw_m=has["m"], qdrant_hnsw_ef_construct=has["ef_construct"], qdrant_quantize=has["quantized"]
    )
    QdrantIndex(server, layout=QdrantLayout(before)).create(GenerationSpec("g1", 4, "e", "c"))
    assert QdrantIndex(server).differences("g1") == []
    graph = server.changed.get("hnsw_config")
    assert ((graph.m, graph.ef_construct) if graph else None) == ((32, 400) if builds else None)
    assert isinstance(server.changed.get("quantization_config"), models.ScalarQuantization) is builds


def test_the_defaults_leave_to_the_server_what_they_do_not_decide(server: Server) -> None:
    QdrantIndex(server).create(GenerationSpec("g1", 4, "e", "c"))
    assert server.created["vectors_config"]["dense"].on_disk is None
    assert server.indexes["rag_g1"]["tenant"].on_disk is None


@pytest.mark.parametrize("mode", [SearchMode.DENSE, SearchMode.HYBRID])
def test_a_dense_search_over_small_vectors_is_scored_again_by_the_full_ones(server: Server, mode: SearchMode) -> None:
    layout = QdrantLayout(QdrantSettings(qdrant_quantize=True, qdrant_oversampling=3, qdrant_hnsw_ef=64))
    index = QdrantIndex(server, layout=layout, local=True)
    index_points.filled(index, index_points.document("a", ["a pump"]))
    assert index.search(index_points.request("a pump", mode=mode)).hits
    params = server.dense_params[0]
    assert params is not None
    assert params.hnsw_ef == 64
    assert params.quantization is not None
    assert (params.quantization.rescore, params.quantization.oversampling) == (True, 3)


def test_more_copies_to_confirm_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="RAG_QDRANT_WRITE_CONSISTENCY"):
        QdrantLayout(QdrantSettings(qdrant_replicas=1, qdrant_write_consistency=2))
