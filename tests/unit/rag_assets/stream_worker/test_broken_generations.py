"""A generation that readers are not on and that cannot be written to never stops a push."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rag_core.content.sources import Scope
from rag_core.errors import Conflict, NotFound, Reason, Unavailable
from rag_core.ingestion.generations import TransformRegistry
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import run_pipeline
from rag_core.ingestion.promotion import retire
from rag_core.retrieval.index import GenerationSpec
from tests.support.generations import word_transforms
from tests.support.stream import PUSHED, StreamHarness

TROUBLES: dict[str, Callable[[], Exception]] = {
    "its collection is gone": lambda: NotFound(Reason.GENERATION_NOT_FOUND, "index: no generation"),
    "its collection belongs to somebody else": lambda: Conflict(Reason.GENERATION_STATE, "index: not ours"),
    "its part of the index is away": lambda: Unavailable(Reason.INDEX_UNAVAILABLE, "index: away"),
}


class OneBroken:
    """The real index; writes to one generation fail."""

    def __init__(self, index: object, name: str, error: Exception) -> None:
        self._index, self._name, self._error = index, name, error

    def __getattr__(self, attribute: str) -> object:
        return getattr(self._index, attribute)

    def apply(self, generation: str, updates: object) -> object:
        if generation == self._name:
            raise self._error
        return self._index.apply(generation, updates)  # type: ignore[attr-defined]


def add_row(stream: StreamHarness, name: str, kit_version: str | None = None) -> None:
    """A row in state `building`, as a release before the check of names left it behind a refused command."""
    transforms = word_transforms(version=kit_version) if kit_version else stream.transform_registry.own
    embedder, chunker = transforms.fingerprints
    with stream.store.engine.begin() as connection:
        generations.add(
            connection,
            GenerationSpec("new", transforms.embedder.dimensions, embedder, chunker),
            transforms.generation_config,
        )
        connection.exec_driver_sql("UPDATE rag.generations SET name = %s WHERE name = 'new'", (name,))


def push_and_drain(stream: StreamHarness, locator: str) -> None:
    stream.push(locator, f"About {locator}.")
    consumer_loop = stream.consumer_loop()
    while batch := consumer_loop.source.poll(0):
        consumer_loop.process(batch)
    consumer_loop.source.close()


def assert_applied(stream: StreamHarness, *locators: str) -> None:
    assert set(stream.texts()) == set(locators)
    assert [row.outcome for row in stream.all("SELECT outcome FROM rag.inbox ORDER BY seq")] == ["applied"] * len(
        locators
    )
    assert stream.all("SELECT 1 FROM rag.dead_letters") == []
    assert stream.flow.quarantined() == {}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_push_is_applied_while_another_generation_is_broken(stream: StreamHarness, trouble: str) -> None:
    add_row(stream, "green")
    stream.index = OneBroken(stream.index, "green", TROUBLES[trouble]())  # type: ignore[assignment]
    push_and_drain(stream, "a")
    assert_applied(stream, "a")


def test_a_row_that_a_refused_name_left_stops_no_push_and_no_run_and_can_be_retired(stream: StreamHarness) -> None:
    add_row(stream, "Green 2")
    push_and_drain(stream, "a")
    assert_applied(stream, "a")
    results = run_pipeline(stream, Scope(PUSHED, "run"))
    assert results["index"].problem is None
    retire(stream.store, stream.index, "Green 2", actor="ann")
    push_and_drain(stream, "b")
    assert_applied(stream, "a", "b")


def test_a_push_is_applied_while_the_model_of_another_generation_is_away(stream: StreamHarness) -> None:
    add_row(stream, "green", "2")
    registry = TransformRegistry(stream.settings, stream.transform_registry.own)
    other, own = word_transforms(version="2"), stream.transform_registry.own
    stream.transform_registry = registry

    def away(_texts: object) -> object:
        raise Unavailable(Reason.EMBEDDER_UNAVAILABLE, "embedder: away")

    other.embedder.embed_passages = away  # type: ignore[method-assign,assignment]
    registry._named = lambda recipe: other if recipe.get("embed_model") == "2" else own  # type: ignore[method-assign]
    push_and_drain(stream, "a")
    assert_applied(stream, "a")


def test_what_a_broken_generation_missed_comes_once_it_can_be_written_to_again(stream: StreamHarness) -> None:
    add_row(stream, "green")
    stream.index.create(
        GenerationSpec("green", stream.embedder.dimensions, *stream.transform_registry.own.fingerprints)
    )
    with stream.store.engine.begin() as connection:
        generations.change(connection, "green", state="ready")
    whole = stream.index
    stream.index = OneBroken(whole, "green", Unavailable(Reason.INDEX_UNAVAILABLE, "away"))  # type: ignore[assignment]
    push_and_drain(stream, "a")
    assert stream.index.count("green") == 0
    stream.index = whole
    stream.applier.finish(PUSHED, "later")
    assert stream.index.count("green") == stream.index.count(str(stream.index.alias())) == 1
