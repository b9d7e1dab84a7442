"""What a write does to a document, in whatever order writes come."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from rag_core.content.embedding import Vectors
from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.index import ApplyResult, DocumentUpdate, VectorIndex
from tests.support.index_points import SPEC, ask, doc, document, filled, removal, request


@pytest.mark.catalogue("F23")
def test_a_document_that_shrinks_loses_exactly_its_other_chunks(index: VectorIndex) -> None:
    filled(index, document("a", list("vwxyz")), document("b", ["other"]))
    result = index.apply("g1", [document("a", ["v", "y"], version=2)])
    assert result == ApplyResult(upserted=2, removed=3, stale=0)
    held = {point.payload.text: point.payload.version for batch in index.scroll("g1") for point in batch}
    assert held == {"v": 2, "y": 2, "other": 1}


def test_a_removed_document_is_gone(index: VectorIndex) -> None:
    filled(index, document("a", ["one", "two"]), document("b", ["three"]))
    assert index.apply("g1", [removal("a")]) == ApplyResult(removed=2)
    assert ask(index, "one two three") == ["three"]
    assert index.apply("g1", [removal("a", version=3)]) == ApplyResult()


@pytest.mark.catalogue("F24")
def test_an_older_version_is_ignored_and_counted(index: VectorIndex) -> None:
    filled(index, document("a", ["new"], version=3))
    assert index.apply("g1", [document("a", ["old"], version=2), removal("b")]) == ApplyResult(stale=1)
    assert index.apply("g1", [removal("a", version=2)]) == ApplyResult(stale=1)
    assert ask(index, "new") == ["new"]


@pytest.mark.catalogue("B67")
def test_the_same_version_again_has_one_effect(index: VectorIndex) -> None:
    filled(index, document("a", ["one", "two"]))
    for _ in range(3):
        assert index.apply("g1", [document("a", ["one", "two"])]) == ApplyResult(upserted=2)
    assert index.count("g1") == 2


def test_of_two_versions_in_one_write_the_higher_wins_whatever_the_order(index: VectorIndex) -> None:
    filled(index)
    old, new = document("a", ["old"], version=2), document("a", ["new"], version=3)
    assert index.apply("g1", [new, old]) == ApplyResult(upserted=1, stale=1)
    assert ask(index, "new old") == ["new"]


@pytest.mark.catalogue("F24")
def test_two_writers_of_one_document_end_with_the_higher_version(index: VectorIndex) -> None:
    filled(index)
    start = threading.Barrier(2)

    def write(version: int) -> None:
        start.wait()
        for _ in range(10):
            index.apply("g1", [document("a", [f"text of {version}", "shared"], version=version)])

    writers = [threading.Thread(target=write, args=(version,)) for version in (2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    index.apply("g1", [document("a", ["text of 3", "shared"], version=3)])
    held = {(point.payload.text, point.payload.version) for batch in index.scroll("g1") for point in batch}
    assert held == {("text of 3", 3), ("shared", 3)}


def test_a_document_never_vanishes_while_it_is_updated(index: VectorIndex) -> None:
    """Rule 2: concurrent searches see the old or the new version, complete in itself, at any moment."""
    filled(index, document("a", ["the wing in flight 1", "common part"]))
    stop, seen, problems = threading.Event(), set(), []

    def read() -> None:
        while not stop.is_set():
            versions = {hit.payload.version for hit in index.search(request("wing flight")).hits}
            seen.update(versions)
            if len(versions) != 1:
                problems.append(versions)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        # As long as it takes for the reader to have looked in between, however the threads are scheduled.
        for version in range(2, 3000):
            index.apply("g1", [document("a", [f"the wing in flight {version}", "common part"], version=version)])
            if version >= 30 and len(seen) >= 10:
                break
    finally:
        stop.set()
        reader.join()
    assert not problems
    assert len(seen) >= 10


def test_a_large_document_changes_as_a_whole(index: VectorIndex) -> None:
    filled(index, document("a", [f"line {n} of the old" for n in range(700)]))
    result = index.apply("g1", [document("a", [f"line {n} of the new" for n in range(650)], version=2)])
    assert result == ApplyResult(upserted=650, removed=700)
    assert index.count("g1") == 650


BAD_VECTORS: list[tuple[Vectors, Reason]] = [
    (np.ones(4, np.float32), Reason.VECTOR_DIM),
    (np.full(8, np.nan, np.float32), Reason.VECTOR_NOT_FINITE),
    (np.array([1, np.inf, 0, 0, 0, 0, 0, 0], np.float32), Reason.VECTOR_NOT_FINITE),
    (np.zeros(8, np.float32), Reason.VECTOR_ZERO),
    (np.full(8, 1e-30, np.float32), Reason.VECTOR_ZERO),
]


@pytest.mark.catalogue("B06", "B07")
def test_a_bad_vector_is_refused_before_anything_is_written(index: VectorIndex) -> None:
    filled(index)
    good, bad = document("a", ["good"]), document("b", ["fine", "bad"])
    for vector, reason in BAD_VECTORS:
        points = (bad.points[0], replace(bad.points[1], vector=vector))
        with pytest.raises(InvalidInput) as raised:
            index.apply("g1", [good, replace(bad, points=points)])
        assert raised.value.reason is reason
        with pytest.raises(InvalidInput) as raised:
            index.search(request("x", vector=vector))
        assert raised.value.reason is reason
    assert index.count("g1") == 0


def test_a_point_must_belong_to_its_update(index: VectorIndex) -> None:
    filled(index)
    stray = DocumentUpdate(doc("b"), 1, document("a", ["one"]).points)
    orphan = document("c", ["one"], tenant="")
    for update in (stray, replace(document("a", ["one"]), version=2), orphan):
        with pytest.raises(InvalidInput) as raised:
            index.apply("g1", [update])
        assert raised.value.reason is Reason.FIELD_INVALID
    assert index.count(SPEC.name) == 0


def test_an_empty_write_is_fine(index: VectorIndex) -> None:
    filled(index)
    assert index.apply("g1", []) == ApplyResult()
