"""The search graph of the embedded index: what it does not reach stays searchable, and other settings build another."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import qdrant_edge as edge
from structlog.testing import capture_logs

from rag_core.content.embedding import Vectors
from rag_core.errors import Exhausted, RagError, Reason, Unavailable
from rag_core.retrieval.engines.edge import EdgeIndex, generation, writer
from rag_core.retrieval.engines.edge.layout import DENSE, LEXICAL, config
from rag_core.retrieval.engines.edge.shard import ShardReader
from rag_core.retrieval.engines.edge.writer import optimize
from rag_core.retrieval.search import self_retrieval
from rag_core.settings import QdrantSettings
from tests.support.index_points import DIMENSIONS, SPEC, document, filled, request
from tests.support.small_disk import small_disk

POINTS, ISLANDS = 1200, 150
"""The engine draws its graph: of fifteen none missed fewer than 94 of these points; of half as many one missed none."""
MANY = 5000
"""Points whose replay takes a second."""
SPARSE = QdrantSettings(qdrant_hnsw_m=4, qdrant_hnsw_ef_construct=4, qdrant_quantize=False)
"""Few links, so that not every point has one that leads to it."""


def small(chosen: QdrantSettings) -> edge.EdgeConfig:
    """The configuration of a shard that builds a graph of some points already."""
    made = config(DIMENSIONS, chosen)
    dense = made.vectors[DENSE]
    graph = edge.HnswIndexConfig(
        m=dense.hnsw_config.m, ef_construct=dense.hnsw_config.ef_construct, full_scan_threshold=1
    )
    params = edge.EdgeVectorParams(
        size=DIMENSIONS,
        distance=edge.Distance.Cosine,
        quantization_config=dense.quantization_config,
        hnsw_config=graph,
    )
    return edge.EdgeConfig(
        vectors={DENSE: params},
        sparse_vectors=made.sparse_vectors,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1, default_segment_number=1),
        wal_enabled=True,
    )


def islands() -> Vectors:
    """Vectors in many groups far from each other."""
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((ISLANDS, DIMENSIONS))
    vectors = np.repeat(centres, POINTS // ISLANDS, axis=0) + 0.01 * draw.standard_normal((POINTS, DIMENSIONS))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def shard(folder: Path) -> Iterator[edge.EdgeShard]:
    """A shard of `islands`, without a graph."""
    folder.mkdir()
    opened = edge.EdgeShard.create(str(folder), small(SPARSE))
    payload = {"tenant": "acme", "acl": ["everyone"], "doc_id": str(uuid.UUID(int=1)), "version": 1}
    words = edge.SparseVector([1], [1.0])
    points = [
        edge.Point(uuid.UUID(int=n), {DENSE: one.tolist(), LEXICAL: words}, payload)
        for n, one in enumerate(islands(), 1)
    ]
    opened.update(edge.UpdateOperation.upsert_points(points))
    yield opened
    opened.close()


def test_points_that_the_finished_graph_does_not_reach_are_found(shard: edge.EdgeShard) -> None:
    reader = ShardReader(shard, has_idf_samples=False)
    ids = [uuid.UUID(int=n) for n in range(1, POINTS + 1)]
    shard.optimize()
    before = self_retrieval(reader, ids)
    assert before.searched == POINTS
    assert before.missed, "the graph is too good for this test"
    assert before.lost == ()
    assert optimize(shard) >= len(before.missed)
    assert self_retrieval(reader, ids).missed == ()
    assert reader.points_count() == POINTS


def test_another_search_graph_is_built_from_the_vectors_that_are_there(folder: Path, tmp_path: Path) -> None:
    index = EdgeIndex(folder)
    filled(index, *(document(str(n), [f"text number {n}"]) for n in range(100)))
    points = {one.chunk_id: one.vector.tolist() for batch in index.scroll(SPEC.name) for one in batch}
    index.close()
    _as_an_older_release_left_it(folder / "generations" / SPEC.name)
    index = EdgeIndex(folder)
    assert index.has_old_graph(SPEC.name)
    index.optimize(SPEC.name)
    assert not index.has_old_graph(SPEC.name)
    assert {one.chunk_id: one.vector.tolist() for batch in index.scroll(SPEC.name) for one in batch} == points
    assert index.self_retrieval(SPEC.name, [*points]).missed == ()
    assert index.written_since_graph(SPEC.name) == 0
    index.apply(SPEC.name, [document(str(n), [f"text number {n}"], version=2) for n in range(50)])
    assert index.written_since_graph(SPEC.name) == 50, "the same points, written again"
    index.apply(SPEC.name, [document(str(n), [f"another text {n}"], version=3) for n in range(50, 100)])
    assert index.count(SPEC.name) == index.written_since_graph(SPEC.name) == 100, "others have taken their place"
    index.close()
    index = EdgeIndex(folder)
    assert not index.has_old_graph(SPEC.name), "it is remembered"
    index.close()
    assert (QUANTIZED, LINKS) in _graphs(folder)
    index = EdgeIndex(tmp_path / "new")
    filled(index, document("0", ["text number 0"]))
    index.close()
    assert _payload_indexes(folder) == _payload_indexes(tmp_path)


class _Held:
    """A shard of the engine whose first write waits until the test lets it."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self._shard = shard
        self.asked, self.given = threading.Event(), threading.Event()
        self.writes = 0

    def update(self, operation: edge.UpdateOperation) -> None:
        self.asked.set()
        assert self.given.wait(60)
        self._shard.update(operation)
        self.writes += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shard, name)


def _loading(monkeypatch: pytest.MonkeyPatch, load: Callable[..., Any]) -> None:
    """Let the next shard that the engine loads, the copy with the new graph, come from `load`."""

    def once(*arguments: Any) -> Any:
        monkeypatch.undo()
        return load(*arguments)

    engine = SimpleNamespace(**{**vars(edge), "EdgeShard": SimpleNamespace(load=once)})
    monkeypatch.setattr(generation, "edge", engine)


def test_writes_take_turns_with_the_replay_of_those_before_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EdgeIndex(folder)
    filled(index, document("many", ["text"]), document("other", ["text"]))
    many, loaded = [f"text number {n}" for n in range(MANY)], Future[_Held]()

    def load(*arguments: Any) -> _Held:
        monkeypatch.setattr(generation, "_TURN_POINTS", MANY // 20)  # so many ways in, however busy the machine is
        index.apply(SPEC.name, [document("many", many, version=2)])  # before the first turn, which holds writes
        copy = _Held(edge.EdgeShard.load(*arguments))
        loaded.set_result(copy)
        return copy

    _loading(monkeypatch, load)
    with ThreadPoolExecutor(1) as threads:
        built = threads.submit(index.optimize, SPEC.name)
        held = loaded.result(60)
        assert held.asked.wait(60)
        held.given.set()
        index.apply(SPEC.name, [document("other", ["changed"], version=2)])
        written_after = held.writes
        built.result(60)
    assert written_after < held.writes
    found = sorted(one.payload.text for batch in index.scroll(SPEC.name) for one in batch)
    assert found == sorted(["changed", *many])
    index.close()


@pytest.mark.parametrize("after_the_build", [False, True])
def test_a_graph_of_what_was_removed_meanwhile_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, after_the_build: bool
) -> None:
    index = EdgeIndex(folder)
    filled(index, document("some", ["text"]))

    def load(*arguments: Any) -> edge.EdgeShard:
        copy = edge.EdgeShard.load(*arguments)
        index.reset(SPEC.name)
        return copy

    def build(*arguments: Any) -> int:
        index.reset(SPEC.name)
        return writer.optimize_copy(*arguments)

    if after_the_build:
        _loading(monkeypatch, load)
    else:
        monkeypatch.setattr(generation, "edge_writer", SimpleNamespace(**{**vars(writer), "optimize_copy": build}))
    with pytest.raises(Unavailable, match="reset while its search graph was built"):
        index.optimize(SPEC.name)
    monkeypatch.undo()
    assert index.count(SPEC.name) == 0
    filled(index, document("other", ["text"]))
    index.optimize(SPEC.name)
    assert index.count(SPEC.name) == 1
    index.close()


def test_a_build_that_fails_says_why_in_the_log(tmp_path: Path) -> None:
    with capture_logs() as logs, pytest.raises(RagError, match="optimizing failed with exit code 1; nothing was chang"):
        writer.optimize_copy(tmp_path / "absent", DIMENSIONS)
    (failed,) = logs
    assert failed["event"] == "graph_build_failed"
    assert failed["said"].endswith("absent does not exist")  # the engine's words, with the folder


@pytest.mark.root
def test_a_build_on_a_disk_that_others_have_filled_says_so(folder: Path, tmp_path: Path) -> None:
    index = EdgeIndex(folder)
    filled(index, document("many", [f"text number {n}" for n in range(2000)]))
    index.close()
    (shard,) = folder.rglob("shard-*")
    with small_disk(tmp_path, "200m") as disk:
        writer.copy_shard(shard, disk / "copy")
        (disk / "others").write_bytes(bytes(shutil.disk_usage(disk).free - 65_536))
        with pytest.raises(Exhausted) as full:
            writer.optimize_copy(disk / "copy", DIMENSIONS)
    assert full.value.reason is Reason.STORAGE_FULL


def test_a_generation_searches_in_one_thread(tmp_path: Path) -> None:
    before = _search_threads()
    for _ in range(2):  # made, then opened
        index = EdgeIndex(tmp_path / "index")
        filled(index, document("d", ["wing flap"]))
        assert index.search(request("wing flap")).hits
        found = _search_threads()
        index.close()
        assert found == before + 1


def _search_threads() -> int:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("edge-search") for name in names)


QUANTIZED, LINKS = True, QdrantSettings().qdrant_hnsw_m


def _as_an_older_release_left_it(folder: Path) -> None:
    """Copy the shard into one with a graph of 16 links over full vectors, which the specification does not name.

    It has an index of titles, in memory, and none of any other field.
    """
    spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
    new = edge.EdgeShard.load(str(folder / spec["shard"]))
    old_settings = QdrantSettings(qdrant_quantize=False, qdrant_hnsw_m=16, qdrant_hnsw_ef_construct=100)
    (folder / "shard-old").mkdir()
    old = edge.EdgeShard.create(str(folder / "shard-old"), small(old_settings))
    records, _ = new.scroll(edge.ScrollRequest(limit=1000, with_payload=True, with_vector=True))
    old.update(edge.UpdateOperation.create_field_index("title", edge.PayloadSchemaType.Keyword))
    old.update(edge.UpdateOperation.upsert_points([edge.Point(r.id, r.vector or {}, r.payload) for r in records]))
    old.optimize()
    old.flush()
    old.close()
    new.close()
    (folder / "seal.json").unlink()
    del spec["graph"], spec["indexed_vectors"]
    (folder / "spec.json").write_text(json.dumps(spec | {"shard": "shard-old"}))
    assert (False, 16) in _graphs(folder)


def _graphs(folder: Path) -> set[tuple[bool, int]]:
    """Whether the segments with a graph are quantized, and their links."""
    found = set()
    for path in folder.rglob("segment.json"):
        dense = json.loads(path.read_text())["config"]["vector_data"][DENSE]
        if dense["index"]["type"] == "hnsw":
            found.add((dense["quantization_config"] is not None, dense["index"]["options"]["m"]))
    return found


def _payload_indexes(folder: Path) -> list[dict[str, Any]]:
    """The different sets of fields with an index that the segments have."""
    found: list[dict[str, Any]] = []
    for path in folder.rglob("payload_index/config.json"):
        fields = json.loads(path.read_text())["indexed_fields"]
        if fields not in found:
            found.append(fields)
    return found
