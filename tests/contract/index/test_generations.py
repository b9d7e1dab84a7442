"""Generations, the alias, and what is in them."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from rag_core.errors import Conflict, InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.retrieval.index import GenerationSpec, VectorIndex
from tests.support.index_points import SPEC, ask, document, filled, request, texts, vector_of

OTHER = replace(SPEC, name="g2")


def test_creating_a_generation_twice_changes_nothing(index: VectorIndex) -> None:
    filled(index, document("a", ["one"]))
    index.create(SPEC)
    assert index.generations() == [SPEC]
    assert index.count("g1") == 1


def test_a_generation_cannot_be_created_again_with_another_specification(index: VectorIndex) -> None:
    index.create(SPEC)
    with pytest.raises(Conflict) as raised:
        index.create(replace(SPEC, embedder="other"))
    assert raised.value.reason is Reason.GENERATION_STATE


@pytest.mark.catalogue("A11")
def test_a_generation_name_must_be_plain(index: VectorIndex) -> None:
    for name in ("", "Upper", "../x", "a" * 65, "sp ace"):
        with pytest.raises(InvalidInput):
            index.create(GenerationSpec(name, 8, "e", "c"))


def test_there_is_no_alias_before_the_first_promotion(index: VectorIndex) -> None:
    index.create(SPEC)
    assert index.alias() is None
    with pytest.raises(Unavailable) as raised:
        index.search(request("one"))
    assert raised.value.reason is Reason.INDEX_EMPTY


def test_readers_follow_the_alias(index: VectorIndex) -> None:
    filled(index, document("a", ["old text"]))
    index.create(OTHER)
    index.apply("g2", [document("a", ["new text"])])
    assert index.search(request("text")).generation == "g1"
    index.promote("g2")
    assert index.alias() == "g2"
    assert (index.search(request("text")).generation, ask(index, "text")) == ("g2", ["new text"])
    assert ask(index, "text", generation="g1") == ["old text"]


@pytest.mark.catalogue("F39")
def test_the_alias_moves_without_a_gap_or_a_mix(index: VectorIndex) -> None:
    filled(index, *(document(str(n), [f"old text {n}"]) for n in range(5)))
    index.create(OTHER)
    index.apply("g2", [document(str(n), [f"new text {n}"]) for n in range(5)])
    stop, answers, problems = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            try:
                result = index.search(request("text"))
                answers.append((result.generation, {text[:3] for text in texts(result)}))
            except RagError as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(20):
        index.promote("g2" if turn % 2 == 0 else "g1")
    stop.set()
    reader.join()
    assert not problems
    assert answers
    assert {tuple(sorted(found)) for generation, found in answers if generation == "g1"} <= {("old",)}
    assert {tuple(sorted(found)) for generation, found in answers if generation == "g2"} <= {("new",)}


def test_only_an_existing_generation_can_be_promoted(index: VectorIndex) -> None:
    with pytest.raises(NotFound) as raised:
        index.promote("nowhere")
    assert raised.value.reason is Reason.GENERATION_NOT_FOUND


def test_dropping_a_generation_removes_it_and_dropping_again_is_harmless(index: VectorIndex) -> None:
    filled(index)
    index.create(OTHER)
    index.drop("g2")
    index.drop("g2")
    assert index.generations() == [SPEC]
    with pytest.raises(NotFound):
        index.count("g2")
    index.create(replace(OTHER, embedder="again"))
    assert index.count("g2") == 0


def test_the_active_generation_cannot_be_dropped(index: VectorIndex) -> None:
    filled(index, document("a", ["one"]))
    with pytest.raises(Conflict) as raised:
        index.drop("g1")
    assert raised.value.reason is Reason.GENERATION_STATE
    assert index.count("g1") == 1


def test_a_reset_generation_is_empty_and_keeps_its_place(index: VectorIndex) -> None:
    filled(index, document("a", ["one", "two"]))
    index.reset("g1")
    assert (index.count("g1"), index.alias(), index.generations()) == (0, "g1", [SPEC])
    index.apply("g1", [document("a", ["one"])])
    assert ask(index, "one") == ["one"]


def test_counts_scroll_and_fetch_agree(index: VectorIndex) -> None:
    documents = [document(str(n), [f"text {n}.{m}" for m in range(3)]) for n in range(9)]
    filled(index, *documents, document("b", ["of another tenant"], tenant="beta"))
    expected = {point.chunk_id: point for update in documents for point in update.points}
    scrolled = [point for batch in index.scroll("g1", batch=4) for point in batch]
    assert (index.count("g1"), index.count("g1", tenant="acme"), index.count("g1", tenant="beta")) == (28, 27, 1)
    source = next(iter(index.scroll("g1")))[0].payload.source
    assert index.count("g1", tenant="beta", source=source) == 1
    assert index.count("g1", tenant="acme", source="another") == 0
    ids = [point.chunk_id for point in scrolled]
    assert ids == sorted(ids)
    for point in scrolled:
        if point.payload.tenant == "acme":
            assert point.payload == expected[point.chunk_id].payload
            np.testing.assert_allclose(point.vector, expected[point.chunk_id].vector, atol=1e-6)
    assert all(point.vector.shape == (0,) for batch in index.scroll("g1", with_vectors=False) for point in batch)
    wanted = [ids[0], ids[5], document("none", ["absent"]).points[0].chunk_id]
    assert {point.chunk_id for point in index.fetch("g1", wanted)} == {ids[0], ids[5]}


def test_single_points_can_be_removed(index: VectorIndex) -> None:
    update = document("a", ["one", "two", "three"])
    filled(index, update)
    absent = document("b", ["absent"]).points[0].chunk_id
    assert index.delete_points("g1", [update.points[1].chunk_id, absent]) == 1
    assert index.count("g1") == 2
    assert "two" not in ask(index, "two")


def test_optimizing_keeps_every_point(index: VectorIndex) -> None:
    filled(index, *(document(str(n), [f"text {n}"]) for n in range(40)))
    index.optimize("g1")
    assert index.count("g1") == 40
    assert ask(index, "text 7", limit=1) == ["text 7"]


def test_an_unknown_generation_is_not_found_by_any_call(index: VectorIndex) -> None:
    calls = [
        lambda: index.apply("no", [document("a", ["one"])]),
        lambda: index.count("no"),
        lambda: list(index.scroll("no")),
        lambda: index.fetch("no", [document("a", ["one"]).points[0].chunk_id]),
        lambda: index.delete_points("no", [document("a", ["one"]).points[0].chunk_id]),
        lambda: index.optimize("no"),
        lambda: index.reset("no"),
        lambda: index.search(request("one", generation="no")),
    ]
    for call in calls:
        with pytest.raises(NotFound) as raised:
            call()
        assert raised.value.reason is Reason.GENERATION_NOT_FOUND


def test_vectors_of_another_size_belong_to_another_generation(index: VectorIndex) -> None:
    filled(index)
    with pytest.raises(InvalidInput) as raised:
        index.search(request("one", vector=vector_of("one", 4)))
    assert (raised.value.reason, raised.value.message) == (
        Reason.VECTOR_DIM,
        "vector: expected 8 dimensions, got 4",
    )
