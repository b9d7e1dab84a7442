"""`verify` sees every way in which rows and index can differ, and nothing where they agree."""

from __future__ import annotations

import json
import math
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge
from sqlalchemy import text

from rag_core.errors import NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.verify import VerifyReport, rebuild, repair, verify
from rag_core.ingestion.verify import store as rows
from rag_core.ingestion.verify.report import FindingKind
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.index import (
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    SearchRequest,
    SearchResult,
    SelfRetrieval,
)
from tests.support.pipeline import PipelineHarness

Kinds = set[FindingKind]


def _kinds(flow: PipelineHarness) -> Kinds:
    return set(verify(flow.store, flow.index).totals)


def _name(flow: PipelineHarness) -> str:
    alias = flow.index.alias()
    assert alias is not None
    return alias


def _document(flow: PipelineHarness, locator: str = "doc3.txt") -> list[IndexPoint]:
    """The points of a document, with their vectors, in reading order."""
    points = [point for batch in flow.index.scroll(_name(flow)) for point in batch]
    return sorted((p for p in points if p.payload.locator == locator), key=lambda p: p.payload.ordinal)


def _write(flow: PipelineHarness, points: list[IndexPoint]) -> None:
    first = points[0].payload
    flow.index.apply(_name(flow), [DocumentUpdate(first.doc_id, first.version, tuple(points))])


def _change(flow: PipelineHarness, change: Callable[[IndexPoint], IndexPoint]) -> None:
    """Write a document again with its second point changed."""
    points = _document(flow)
    _write(flow, [points[0], change(points[1]), *points[2:]])


def _payload(**fields: Any) -> Callable[[IndexPoint], IndexPoint]:
    return lambda point: replace(point, payload=replace(point.payload, **fields))


def _sql(flow: PipelineHarness, statement: str, **params: Any) -> None:
    with flow.store.engine.begin() as connection:
        connection.execute(text(statement), params)


def test_a_pipeline_that_ran_is_clean(flow: PipelineHarness) -> None:
    report = verify(flow.store, flow.index)
    assert report.clean, report.findings
    assert report.expected == report.points == report.retrieved == flow.index.count(_name(flow)) > 8
    assert (report.documents.indexed, report.documents.total) == (8, 8)
    assert json.loads(json.dumps(report.to_json()))["clean"] is True


def test_points_that_their_own_vector_does_not_find_are_not_counted_as_found(flow: PipelineHarness) -> None:
    report = verify(flow.store, flow.index)
    lost = replace(report, totals={FindingKind.NOT_RETRIEVABLE: 2})
    assert (lost.retrieved, lost.found) == (report.retrieved, report.retrieved - 2)
    assert (report.found, report.to_json()["found"]) == (report.retrieved, report.retrieved)


class Approximate:
    """The index with a search graph that misses some points, or that has lost them."""

    def __init__(self, flow: PipelineHarness, *, missed: int = 0, lost: int = 0, hits: int = 100) -> None:
        self._index = flow.index
        self._missed, self._lost, self._hits = missed, lost, hits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def self_retrieval(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> SelfRetrieval:
        found = self._index.self_retrieval(generation, chunk_ids)
        ids = tuple(chunk_ids)
        return replace(found, missed=ids[: self._missed], lost=ids[self._missed : self._missed + self._lost])

    def search(self, request: SearchRequest) -> SearchResult:
        found = self._index.search(request)
        return replace(found, hits=found.hits[: self._hits])


def _approximate(flow: PipelineHarness, **numbers: int) -> VerifyReport:
    index: Any = Approximate(flow, **numbers)
    return verify(flow.store, index)


@pytest.mark.parametrize(
    ("missed", "lost", "totals"),
    [
        (1, 0, {}),
        (3, 0, {FindingKind.GRAPH_MISSES: 1}),
        (0, 2, {FindingKind.NOT_RETRIEVABLE: 2}),
        (1, 1, {FindingKind.NOT_RETRIEVABLE: 1}),
    ],
)
def test_a_lost_point_is_a_difference_and_a_miss_of_the_graph_a_rate(
    flow: PipelineHarness, missed: int, lost: int, totals: dict[FindingKind, int]
) -> None:
    report = _approximate(flow, missed=missed, lost=lost)
    assert report.totals == totals
    assert report.sound is not bool(totals)
    assert (report.missed, report.found) == (missed, report.retrieved - missed - lost)


def test_recall_is_measured_against_exact_search_and_recorded(flow: PipelineHarness) -> None:
    report = verify(flow.store, flow.index)
    assert report.recall is not None
    assert report.recall.share == 1.0
    assert 0 < report.recall.searches <= report.points
    assert _recorded(flow) == 1.0
    poor = _approximate(flow, hits=6)
    assert poor.recall is not None
    assert poor.recall.share < 0.7, "six of eleven"
    assert poor.totals == {FindingKind.LOW_RECALL: 1}
    assert not poor.sound
    assert _recorded(flow) == pytest.approx(poor.recall.share, abs=1e-4)


def _recorded(flow: PipelineHarness) -> float | None:
    with flow.store.engine.connect() as connection:
        return generations.get(connection, _name(flow)).recall


def test_points_that_the_graph_misses_are_written_again_by_a_repair(flow: PipelineHarness) -> None:
    report = _approximate(flow, missed=1)
    assert repair(flow.store, flow.index, report, actor="ann") == 1
    assert verify(flow.store, flow.index).clean


def test_it_stays_clean_through_edits_deletions_and_unknown_acls(flow: PipelineHarness) -> None:
    flow.connector.put("doc1.txt", "Only one paragraph is left here.")
    del flow.connector.items["doc2.txt"]
    flow.connector.put("doc9.txt", "A new document.")
    flow.run()
    flow.source = replace(flow.source, acl=None, name="open")
    flow.connector.put("secret.txt", "No one said who may read this.")
    flow.run()
    report = verify(flow.store, flow.index)
    assert report.clean, report.findings
    states = report.documents
    assert states.total == states.indexed + states.deleted + states.withheld + states.rejected + states.pending
    assert (states.deleted, states.pending) == (1, 0)
    assert states.withheld > 0


def test_a_lost_point_is_missing(flow: PipelineHarness) -> None:
    victim = _document(flow)[1]
    flow.index.delete_points(_name(flow), [victim.chunk_id])
    report = verify(flow.store, flow.index)
    assert report.totals == {FindingKind.MISSING: 1}
    assert [(f.doc_id, f.chunk_id) for f in report.findings] == [(victim.payload.doc_id, victim.chunk_id)]


def test_an_empty_index_misses_everything(flow: PipelineHarness) -> None:
    flow.index.reset(_name(flow))
    report = verify(flow.store, flow.index)
    assert report.totals == {FindingKind.MISSING: report.expected}


def test_a_cut_tail_is_missing(flow: PipelineHarness) -> None:
    ids = [point.chunk_id for batch in flow.index.scroll(_name(flow), with_vectors=False) for point in batch]
    flow.index.delete_points(_name(flow), ids[-5:])
    assert verify(flow.store, flow.index).totals == {FindingKind.MISSING: 5}


def test_a_point_of_an_unknown_document_is_a_phantom(flow: PipelineHarness) -> None:
    doc_id = uuid.uuid4()
    _write(flow, [replace(_payload(doc_id=doc_id)(_document(flow)[0]), chunk_id=uuid.uuid4())])
    assert _kinds(flow) == {FindingKind.PHANTOM}


def test_the_points_of_a_deleted_document_are_phantoms(flow: PipelineHarness) -> None:
    points = _document(flow)
    del flow.connector.items["doc3.txt"]
    flow.run()
    assert _kinds(flow) == set()
    _write(flow, points)
    assert verify(flow.store, flow.index).totals == {FindingKind.PHANTOM: len(points)}


def test_the_points_of_a_document_without_known_acl_are_phantoms(flow: PipelineHarness) -> None:
    _sql(flow, "UPDATE rag.documents SET acl = NULL WHERE locator = 'doc3.txt'")
    assert _kinds(flow) == {FindingKind.PHANTOM}


def test_a_leftover_of_an_older_version_is_a_phantom(flow: PipelineHarness) -> None:
    old = _document(flow)
    flow.connector.put("doc3.txt", "Only this is left.")
    flow.run()
    (new,) = _document(flow)
    left = replace(old[2], payload=replace(old[2].payload, version=new.payload.version, ordinal=7))
    _write(flow, [new, left])
    assert _kinds(flow) == {FindingKind.PHANTOM}


def test_a_second_point_for_a_chunk_is_a_duplicate(flow: PipelineHarness) -> None:
    points = _document(flow)
    _write(flow, [*points, replace(points[0], chunk_id=uuid.uuid4())])
    assert _kinds(flow) == {FindingKind.DUPLICATE}


def test_another_version_is_noticed(flow: PipelineHarness) -> None:
    points = _document(flow)
    version = points[0].payload.version + 1
    newer = tuple(_payload(version=version)(point) for point in points)
    flow.index.apply(_name(flow), [DocumentUpdate(points[0].payload.doc_id, version, newer)])
    assert _kinds(flow) == {FindingKind.STALE_VERSION}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (_payload(tenant="beta"), FindingKind.WRONG_TENANT),
        (_payload(acl=("everyone", "group:all")), FindingKind.WRONG_ACL),
        (_payload(acl=()), FindingKind.WRONG_ACL),
        (_payload(text="other text"), FindingKind.MALFORMED),
        (_payload(start=1), FindingKind.MALFORMED),
        (_payload(locator="elsewhere"), FindingKind.MALFORMED),
        (_payload(metadata={"a": "b"}), FindingKind.MALFORMED),
        (lambda point: replace(point, vector=-point.vector), FindingKind.VECTOR_MISMATCH),
        (lambda point: replace(point, vector=point.vector + np.float32(0.01)), FindingKind.VECTOR_MISMATCH),
    ],
)
def test_a_changed_point_is_noticed(
    flow: PipelineHarness, change: Callable[[IndexPoint], IndexPoint], kind: FindingKind
) -> None:
    _change(flow, change)
    assert _kinds(flow) == {kind}


def _raw(
    folder: Path, flow: PipelineHarness, write: Callable[[qdrant_edge.EdgeShard, IndexPoint], None]
) -> VerifyReport:
    """Verify after a write that goes past our checks, straight into the engine."""
    victim, name = _document(flow)[1], _name(flow)
    flow.index.close()
    (path,) = (folder / "generations" / name).glob("shard-*")
    (folder / "generations" / name / "seal.json").unlink()
    shard = qdrant_edge.EdgeShard.load(str(path))
    write(shard, victim)
    shard.flush()
    shard.close()
    index = EdgeIndex(folder)
    try:
        return verify(flow.store, index)
    finally:
        index.close()


def _set_vector(values: Callable[[int], list[float]]) -> Callable[[qdrant_edge.EdgeShard, IndexPoint], None]:
    def write(shard: qdrant_edge.EdgeShard, point: IndexPoint) -> None:
        vector: Any = {"dense": values(len(point.vector))}
        operation = qdrant_edge.UpdateOperation.update_vectors([qdrant_edge.PointVectors(point.chunk_id, vector)])
        shard.update(operation)

    return write


def _break_payload(shard: qdrant_edge.EdgeShard, point: IndexPoint) -> None:
    shard.update(qdrant_edge.UpdateOperation.overwrite_payload([point.chunk_id], {"tenant": 7}))


def _numbered_point(shard: qdrant_edge.EdgeShard, point: IndexPoint) -> None:
    shard.update(
        qdrant_edge.UpdateOperation.upsert_points([qdrant_edge.Point(7, {"dense": point.vector.tolist()}, {})])
    )


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (_set_vector(lambda size: [math.nan] * size), FindingKind.NON_FINITE),
        (_set_vector(lambda size: [0.0] * size), FindingKind.ZERO_VECTOR),
        (_break_payload, FindingKind.MALFORMED),
        (_numbered_point, FindingKind.PHANTOM),
    ],
)
def test_what_a_raw_write_does_to_a_point_is_noticed(
    flow: PipelineHarness, folder: Path, write: Callable[[qdrant_edge.EdgeShard, IndexPoint], None], kind: FindingKind
) -> None:
    assert kind in _raw(folder, flow, write).totals


def test_a_document_that_the_index_has_not_followed_is_unindexed_and_nothing_else(flow: PipelineHarness) -> None:
    _sql(flow, "UPDATE rag.documents SET version = version + 1, title = 'changed' WHERE locator = 'doc3.txt'")
    report = verify(flow.store, flow.index)
    assert report.totals == {FindingKind.UNINDEXED: 1}
    assert report.documents.pending == report.pending == 1
    assert (report.sound, report.clean) == (True, False)


@pytest.mark.parametrize(
    ("statement", "totals"),
    [
        ("DELETE FROM rag.generation_documents WHERE doc_id = :id", {FindingKind.UNINDEXED: 1}),
        (
            "DELETE FROM rag.chunks WHERE ordinal = 0 AND doc_id = :id",
            {FindingKind.PHANTOM: 1, FindingKind.ACCOUNTING: 1},
        ),
        (
            "DELETE FROM rag.embeddings WHERE text_hash ="
            " (SELECT text_hash FROM rag.chunks WHERE doc_id = :id AND ordinal = 0)",
            {FindingKind.UNEMBEDDED: 1},
        ),
        (
            "UPDATE rag.documents SET text = overlay(text placing 'XX' from 3) WHERE locator = 'doc3.txt'",
            {FindingKind.MALFORMED: 1},
        ),
        ("UPDATE rag.generations SET state = 'retired'", {FindingKind.ALIAS_MISMATCH: 1}),
    ],
    ids=["lost mark", "lost chunk", "lost embedding", "a chunk of another text", "alias that points elsewhere"],
)
def test_damage_in_the_rows_is_noticed(flow: PipelineHarness, statement: str, totals: dict[FindingKind, int]) -> None:
    _sql(flow, statement, id=flow.doc_id("doc3.txt"))
    report = verify(flow.store, flow.index)
    assert report.totals == totals
    assert report.sound is (set(totals) == {FindingKind.UNINDEXED})


def test_a_generation_that_the_database_does_not_know_is_not_found(flow: PipelineHarness) -> None:
    flow.index.create(GenerationSpec("g-other", 8, "e", "c"))
    with pytest.raises(NotFound) as raised:
        verify(flow.store, flow.index, "g-other")
    assert raised.value.reason is Reason.GENERATION_NOT_FOUND


def test_a_sample_searches_for_fewer_and_compares_all(flow: PipelineHarness) -> None:
    report = verify(flow.store, flow.index, self_retrieval=0)
    assert (report.retrieved, report.points == report.expected, report.clean) == (0, True, True)


def test_progress_is_reported(flow: PipelineHarness) -> None:
    seen: list[tuple[int, int | None]] = []
    verify(flow.store, flow.index, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, flow.index.count(_name(flow)))


def test_writes_during_a_verification_are_no_damage(flow: PipelineHarness) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            flow.connector.put(
                "doc3.txt", f"Version {number} of this document. " + "Words and words. " * (number % 9 * 5)
            )
            flow.run()
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    reports = [verify(flow.store, flow.index) for _ in range(5)]
    stop.set()
    writer.join()
    assert all(set(report.totals) <= {FindingKind.UNINDEXED} for report in reports), reports
    assert verify(flow.store, flow.index).clean


class WrittenMeanwhile:
    """The index, but its first scroll has a point that was removed, and whose document was written again, before the
    points were counted."""

    def __init__(self, flow: PipelineHarness, times: int) -> None:
        self._flow, self._times = flow, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flow.index, name)

    def scroll(self, generation: str) -> Iterator[list[IndexPoint]]:
        batches = list(self._flow.index.scroll(generation))
        self._times -= 1
        if self._times >= 0:
            batches[-1] = [*batches[-1], replace(batches[-1][-1], chunk_id=uuid.uuid5(uuid.NAMESPACE_URL, "old"))]
        yield from batches


@pytest.mark.parametrize(("times", "totals"), [(1, {}), (9, {FindingKind.COUNT_MISMATCH: 2})])
def test_a_count_that_differs_from_one_scroll_is_counted_again(
    flow: PipelineHarness, times: int, totals: dict[FindingKind, int]
) -> None:
    found = verify(flow.store, WrittenMeanwhile(flow, times)).totals  # type: ignore[arg-type]
    assert {kind: number for kind, number in found.items() if kind is FindingKind.COUNT_MISMATCH} == totals


class Overtaken:
    """The index, but every document is written again after its points were scrolled and before most rows are read."""

    def __init__(self, flow: PipelineHarness) -> None:
        self._flow = flow
        self._edited = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flow.index, name)

    def scroll(self, generation: str) -> Iterator[list[IndexPoint]]:
        batches = list(self._flow.index.scroll(generation))
        if not self._edited:
            self._edited = True
            for number in range(8):
                self._flow.connector.put(f"doc{number}.txt", f"Another text {number}, all of it.\n\n结尾相同。")
            self._flow.run()
        yield from batches


def test_rows_that_overtake_the_scroll_are_no_damage_and_damage_stays(
    flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE", 1)
    assert verify(flow.store, Overtaken(flow)).clean  # type: ignore[arg-type]
    _write(flow, [_payload(version=99)(point) for point in _document(flow)])
    assert set(verify(flow.store, flow.index).totals) == {FindingKind.STALE_VERSION}


@pytest.mark.catalogue("F17")
def test_a_reset_generation_is_rebuilt_without_embedding_anything(flow: PipelineHarness) -> None:
    flow.index.reset(_name(flow))
    embedded = flow.embedder.texts
    assert rebuild(flow.store, flow.index, _name(flow), actor="acme/ann") == 8
    assert verify(flow.store, flow.index).clean
    assert flow.embedder.texts == embedded


@pytest.mark.catalogue("F17")
def test_a_generation_whose_folder_is_gone_is_rebuilt(flow: PipelineHarness) -> None:
    name = _name(flow)
    other = GenerationSpec("g-other", 8, "e", "c")
    flow.index.create(other)
    flow.index.promote(other.name)
    flow.index.drop(name)
    rebuild(flow.store, flow.index, name, actor="acme/ann")
    assert flow.index.alias() == name
    assert verify(flow.store, flow.index).clean


def test_a_repair_makes_a_damaged_index_clean(flow: PipelineHarness) -> None:
    flow.index.delete_points(_name(flow), [_document(flow)[1].chunk_id])
    _write(flow, [replace(_payload(doc_id=uuid.uuid4())(_document(flow)[0]), chunk_id=uuid.uuid4())])
    points = _document(flow, "doc5.txt")
    _write(flow, [_payload(tenant="beta")(point) for point in points])
    report = verify(flow.store, flow.index)
    assert not report.clean
    assert repair(flow.store, flow.index, report, actor="acme/ann") == 2
    after = verify(flow.store, flow.index)
    assert after.clean, after.findings
    with flow.store.engine.connect() as connection:
        (entry,) = audit.find(connection, audit.AuditQuery(action_start="index.repair"))
    assert entry.actor == "acme/ann"
