"""What fails after the rows are committed, what fails twice, and what a redrive or a reconciler meets. A generation
that readers are not on and that cannot be written to never stops a push."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, text

from rag_assets.stream_worker.base import StreamMessage
from rag_assets.stream_worker.dead_letters import dead_letter
from rag_assets.stream_worker.maintenance import finish_pending, redrive
from rag_assets.stream_worker.metrics import health_pages
from rag_assets.stream_worker.worker import Worker
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import Scope
from rag_core.content.streams import store as streams
from rag_core.database import locks
from rag_core.errors import Conflict, DataCorruption, InvalidInput, NotFound, Reason, Unavailable
from rag_core.ingestion import source_status
from rag_core.ingestion.generations import TransformRegistry
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import BatchResult, Event, Pipeline, run_pipeline
from rag_core.ingestion.promotion import retire
from rag_core.retrieval.index import GenerationSpec
from tests.support.generations import word_transforms
from tests.support.stream import PUSHED, Failing, StreamHarness, event
from tests.support.waiting import eventually
from tests.unit.rag_assets.stream_worker.test_consumer_loop import BROKEN, ListSource, drain, letters, message

HALTED = ("rag_stream_halted", "rag_stream_halted_sources")
ERRORS = [
    Unavailable(Reason.INDEX_UNAVAILABLE, "away"),
    DataCorruption(Reason.INDEX_CORRUPT, "corrupt"),
    NotFound(Reason.GENERATION_NOT_FOUND, "no such generation"),
    ValueError("a defect"),
]


@pytest.fixture
def failing(stream: StreamHarness) -> Failing:
    made = Failing(stream.index)
    stream.index = made  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_engine_that_fails_after_the_commit_makes_no_dead_letter_and_no_stale_event(
    stream: StreamHarness, failing: Failing, error: Exception
) -> None:
    stream.push("d0", "Text.")
    stream.push("d1", "Text.")
    consumer_loop = stream.consumer_loop()
    batch = consumer_loop.source.poll(1)
    failing.error = error
    for _ in range(10):
        with suppress(Unavailable):
            consumer_loop.process(batch)
            break
    failing.error = None
    if isinstance(error, Unavailable):
        consumer_loop.process(batch)
    finish_pending(stream.store, stream.applier, "later")
    assert letters(stream) == []
    assert stream.flow.quarantined() == {}
    assert set(stream.texts()) == {"d0", "d1"}
    outcome = "applied" if isinstance(error, Unavailable) else "pending"
    assert (consumer_loop.counts[outcome], consumer_loop.counts["stale"], consumer_loop.counts["dead"]) == (2, 0, 0)


def test_what_is_through_is_not_repeated_when_another_source_of_the_batch_has_to_wait(
    stream: StreamHarness, failing: Failing
) -> None:
    stream.push("a", "Text.")
    stream.push("b", "A longer text.", source="other")
    done: list[str] = []
    consumer_loop = stream.consumer_loop()
    consumer_loop.source.done = lambda messages, outcomes: done.extend(outcomes.values())  # type: ignore[method-assign]
    batch = consumer_loop.source.poll(1)
    apply = stream.applier.apply

    def fail_on_other(source: Any, *rest: Any) -> Any:
        failing.error = Unavailable(Reason.INDEX_UNAVAILABLE, "away") if source.name == "other" else None
        return apply(source, *rest)

    stream.applier.apply = fail_on_other  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        consumer_loop.process(batch)
    failing.error = None
    consumer_loop.process(batch)
    assert done == ["applied", "applied"]
    assert consumer_loop.counts["stale"] == 0


def test_events_that_a_refused_one_had_superseded_are_reported_as_what_became_of_them(stream: StreamHarness) -> None:
    said: list[BatchResult] = []

    def settle(_connection: Connection, settled: BatchResult) -> None:
        said.append(settled)

    events = [event("a", 1, "Text."), event("a", 2, BROKEN, media_type=None), event("a", 3, BROKEN, media_type=None)]
    events += [event("b", 1, "Text."), event("c", 1, None)]
    stream.applier.apply(PUSHED, "run", events, settle)
    assert [one.outcomes for one in said] == [
        {"a@1/0": "applied", "a@2/0": "dead", "a@3/0": "dead", "b@1/0": "applied", "c@1/0": "deleted"}
    ]
    assert stream.texts() == {"a": "Text.", "b": "Text."}
    assert stream.flow.row("a").source_version == 1
    assert "a" in stream.flow.quarantined(), "the refused version is still for an operator to see"


def test_a_refused_event_that_restricts_its_document_restricts_the_version_that_is_served(
    stream: StreamHarness,
) -> None:
    stream.apply(event("a", 1, "Text."), event("a", 2, BROKEN, media_type=None, acl=("group:board",)))
    assert stream.flow.row("a").acl == ["group:board"]


@pytest.mark.parametrize("second", [b"Text.", BROKEN], ids=["all good", "one refused"])
def test_rows_and_progress_of_a_batch_are_one_transaction(stream: StreamHarness, second: bytes) -> None:
    def fail(_connection: Connection, _settled: BatchResult) -> None:
        raise Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, "the topic is away")

    events = [event("a", 1, "Text."), event("a", 2, second, media_type=None)]
    with pytest.raises(Unavailable):
        stream.applier.apply(PUSHED, "run", events, fail)
    assert stream.all("SELECT 1 FROM rag.documents") == []


def test_a_second_failure_does_not_hide_the_first(stream: StreamHarness) -> None:
    def fail_twice(connection: Connection, _settled: BatchResult) -> None:
        # The session ends under our feet, so the rollback that follows fails too.
        connection.execute(text("SELECT 1"))
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
        raise Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, "the topic is away")

    with pytest.raises(Unavailable) as first:
        stream.applier.apply(PUSHED, "run", [event("a", 1, "Text.")], fail_twice)
    assert first.value.reason is Reason.DEAD_LETTER_UNAVAILABLE
    assert stream.apply(event("a", 1, "Text.")).settled.outcomes == {"a@1/0": "applied"}


def test_a_dead_letter_topic_and_an_index_that_are_away_at_once_lose_nothing(
    stream: StreamHarness, failing: Failing
) -> None:
    source = ListSource([message(0), message(1, BROKEN)])
    source.dead_error = Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, "the topic is away")
    failing.error = Unavailable(Reason.INDEX_UNAVAILABLE, "away")
    consumer_loop = stream.consumer_loop(source)
    reasons = []
    for _ in range(2):
        with pytest.raises(Unavailable) as stopped:
            drain(consumer_loop)
        reasons.append(stopped.value.reason)
        source.dead_error = None
    assert reasons == [Reason.DEAD_LETTER_UNAVAILABLE, Reason.INDEX_UNAVAILABLE]
    failing.error = None
    drain(consumer_loop)
    assert set(stream.texts()) == {"d0"}
    assert [one.locator for one in letters(stream)] == ["d1"]
    assert (consumer_loop.counts["applied"], consumer_loop.counts["dead"], consumer_loop.counts["stale"]) == (1, 1, 0)


@pytest.mark.catalogue("A26")
def test_one_source_of_poison_is_halted_in_the_inbox_and_neither_the_others_nor_the_worker(
    stream: StreamHarness,
) -> None:
    for number in range(30):
        stream.push(f"bad{number}", BROKEN, media_type=None)
    stream.push("good", "Fine.", source="other")
    consumer_loop = stream.consumer_loop()
    worker = Worker(stream.settings, stream.metrics)
    worker.loops["inbox"] = consumer_loop
    stopping = threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    try:
        assert eventually(lambda: consumer_loop.halted_sources and "good" in stream.texts())
        stream.push("later", "Fine too.", source="other", tenant="acme")
        assert eventually(lambda: "later" in stream.texts())
        ready, page = health_pages(worker.status)["/health"]()
        worker._send_heartbeat(cast(Pipeline, stream))
    finally:
        stopping.set()
        runner.join(10)
    assert letters(stream) == [], "nothing was given up on"
    assert len(stream.all("SELECT 1 FROM rag.inbox WHERE applied_at IS NULL")) == 30
    assert (ready, page["status"], consumer_loop.counts["dead"]) == (True, "ok", 0)
    assert "acme" not in repr(page), "the page is for machines of the network; whose source it is, is not"
    with stream.store.engine.connect() as connection:
        (beat,) = streams.workers(connection)
        statuses = {one.counts.name: one.status.reason for one in source_status.read(connection, "acme")}
    halted = [{"tenant": "acme", "source": "push", "reason": "POISON_RATE"}]
    assert (beat["details"]["inbox"]["state"], beat["details"]["inbox"]["halted_sources"]) == ("running", halted)
    assert statuses == {"push": "POISON_RATE", "other": ""}
    values = [stream.metrics.registry.get_sample_value(name, {"stream": "inbox"}) for name in HALTED]
    assert values == [0, 1]
    consumer_loop.source.close()
    lifted = stream.settings.model_copy(update={"stream_poison_fraction": 1.0})
    drain(stream.consumer_loop(settings=lifted))
    assert len(letters(stream)) == 30, "an operator who lifts the limit has them all as dead letters"


def _bury(stream: StreamHarness, made: StreamMessage) -> None:
    with stream.store.engine.begin() as connection:
        one = dead_letter(made, "decode", InvalidInput(Reason.EVENT_INVALID, "value: not JSON"), 1)
        streams.add_dead_letters(connection, [one])
        entry = quarantine.QuarantineEntry(one.locator, "parse", one.reason, "refused", "token", "decode")
        quarantine.record(connection, one.tenant, one.source, 0, "run", [entry])


def _redrive_all(stream: StreamHarness) -> None:
    with stream.store.engine.begin() as connection:
        for row in connection.execute(text("SELECT id FROM rag.quarantine")).all():
            quarantine.redrive(connection, row.id, tenant="acme", actor="test")


@pytest.mark.catalogue("A17")
def test_redriven_letters_that_are_no_events_do_not_block_those_behind_them(stream: StreamHarness) -> None:
    stream.push("register", "The source is known now.")
    drain(stream.consumer_loop())
    for number in range(70):
        _bury(stream, message(number, failure=InvalidInput(Reason.EVENT_INVALID, "value: not JSON")))
    _bury(stream, message(100))
    _redrive_all(stream)
    assert redrive(stream.store, stream.applier, "again") == 1
    assert "d100" in stream.texts()


def test_a_redriven_letter_older_than_what_is_held_leaves_nothing_for_an_operator(stream: StreamHarness) -> None:
    stream.push("d3", "Newer text.", source_version=50)
    drain(stream.consumer_loop())
    _bury(stream, message(3))
    _redrive_all(stream)
    assert redrive(stream.store, stream.applier, "again") == 1
    assert (letters(stream), stream.flow.quarantined()) == ([], {})
    assert stream.texts() == {"d3": "Newer text."}


def test_a_redriven_letter_that_fails_leaves_the_others_their_turn(stream: StreamHarness) -> None:
    stream.push("register", "The source is known now.")
    drain(stream.consumer_loop())
    _bury(stream, message(1))
    _bury(stream, message(2))
    _redrive_all(stream)
    apply = stream.applier.apply

    def corrupt(source: Any, run: str, events: list[Event], *rest: Any) -> Any:
        if events[0].locator == "d1":
            raise DataCorruption(Reason.INDEX_CORRUPT, "corrupt")
        return apply(source, run, events, *rest)

    stream.applier.apply = corrupt  # type: ignore[method-assign]
    redrive(stream.store, stream.applier, "again")
    assert "d2" in stream.texts()


def test_a_worker_beats_while_its_reconciler_waits_for_a_source(stream: StreamHarness, failing: Failing) -> None:
    stream.push("a", "Text.")
    failing.error = Unavailable(Reason.INDEX_UNAVAILABLE, "away")
    consumer_loop = stream.consumer_loop()
    with pytest.raises(Unavailable):
        consumer_loop.process(consumer_loop.source.poll(1))  # stored and not indexed: work for the reconciler
    failing.error = None
    worker = Worker(stream.settings.model_copy(update={"stream_heartbeat_seconds": 0.05}))
    opened = SimpleNamespace(store=stream.store, settings=stream.settings, ensure_generation=lambda: None)
    pipeline = cast(Pipeline, opened)
    parts = [
        threading.Thread(target=worker._maintain, args=(pipeline, stream.applier, "")),
        threading.Thread(target=worker._send_heartbeats, args=(pipeline,)),
    ]
    beats = "SELECT beat_at FROM rag.stream_workers"
    with locks.shard_connection(stream.store, "acme", "push", 0, wait=5):
        for part in parts:
            part.start()
        assert eventually(lambda: bool(stream.all(beats)))
        first = stream.all(beats)[0].beat_at
        assert eventually(lambda: stream.all(beats)[0].beat_at > first)
        assert parts[0].is_alive()
    assert eventually(lambda: stream.texts() == {"a": "Text."})
    worker.stop()
    for part in parts:
        part.join(60)


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
