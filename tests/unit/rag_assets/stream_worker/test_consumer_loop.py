"""One stream through its pump: dead letters, isolation, the poison stop, redrive, and what a restart finds."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from rag_assets.stream_worker.base import Lag, Position, StreamMessage
from rag_assets.stream_worker.consumer_loop import ConsumerLoop
from rag_assets.stream_worker.inbox import InboxSource, attributes_of
from rag_assets.stream_worker.maintenance import clean_up, count_pending, finish_pending, redrive
from rag_core import failpoints
from rag_core.content.quality import QualityPolicy
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.streams import DeadLetter
from rag_core.content.streams import store as streams
from rag_core.errors import Conflict, InvalidInput, Reason, Unavailable
from rag_core.failpoints import FailpointReached
from tests.support.stream import PUSHED, Failing, StreamHarness, event
from tests.support.waiting import eventually

BROKEN = b"%PDF-1.7 broken"


class ListSource:
    """A stream from a list; implements `StreamSource`."""

    name = "list"

    def __init__(self, messages: Sequence[StreamMessage]) -> None:
        self.messages = list(messages)
        self.recorded: list[str] = []
        self.dead: list[DeadLetter] = []
        self.dead_error: Exception | None = None

    def poll(self, wait: float) -> list[StreamMessage]:
        return [one for one in self.messages if one.position.token not in self.recorded][:50]

    def publish_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        if self.dead_error is not None:
            raise self.dead_error
        self.dead += dead_letters

    def record(self, connection: Connection, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        """Nothing of its own."""

    def done(self, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        self.recorded += [one.position.token for one in messages]

    def lag(self) -> Lag:
        return Lag(len(self.messages) - len(self.recorded))

    def problem(self) -> None:
        pass

    def hold(self, tenant: str, source: str) -> bool:
        return False

    def halted_sources(self) -> tuple[()]:
        return ()

    def postpone(self, tenant: str, source: str) -> bool:
        return False

    def defer(self, messages: Sequence[StreamMessage]) -> None:
        pass

    def at_end(self) -> bool:
        return len(self.recorded) == len(self.messages)

    def close(self) -> None:
        pass


def message(offset: int, content: bytes | None = b"Text.", failure: Any = None) -> StreamMessage:
    position = Position("t", 0, offset)
    if failure is not None:
        return StreamMessage(PUSHED, position, f"d{offset}", b"raw", None, failure)
    made = event(f"d{offset}", offset + 1, content, media_type=None)
    made = replace(made, token=position.token)
    return StreamMessage(PUSHED, position, f"d{offset}", content, made, None, attributes_of(made), len(content or b""))


def letters(stream: StreamHarness) -> list[Any]:
    return list(stream.all("SELECT * FROM rag.dead_letters ORDER BY id"))


def drain(consumer_loop: ConsumerLoop) -> None:
    while batch := consumer_loop.source.poll(0):
        consumer_loop.process(batch)


@pytest.mark.catalogue("F18")
def test_a_worker_that_dies_before_or_after_the_commit_loses_and_repeats_nothing(stream: StreamHarness) -> None:
    for number, point in enumerate(("before_settle", "after_commit", "after_upsert")):
        stream.push(f"d{number}", f"Text {number}.")
        failpoints.arm(f"{point}:1:raise")
        consumer_loop = stream.consumer_loop()
        with pytest.raises(FailpointReached):
            # What a kill does to the process; the pump must not take it for an event that fails.
            consumer_loop._apply_together(consumer_loop.source.poll(1))  # type: ignore[arg-type]
        consumer_loop.source.close()
        again = stream.consumer_loop()
        drain(again)
        finish_pending(stream.store, stream.applier, "later")
        again.source.close()
    assert set(stream.texts()) == {"d0", "d1", "d2"}
    assert {row.version for row in stream.all("SELECT version FROM rag.documents")} == {1}
    assert stream.all("SELECT 1 FROM rag.inbox WHERE applied_at IS NULL") == []


@pytest.mark.catalogue("B65")
def test_a_message_that_is_no_event_is_a_dead_letter_with_its_place(stream: StreamHarness) -> None:
    source = ListSource([message(0), message(1, failure=InvalidInput(Reason.EVENT_INVALID, "value: not JSON"))])
    drain(stream.consumer_loop(source))
    (dead_letter,) = letters(stream)
    assert (dead_letter.topic, dead_letter.partition, dead_letter.offset, dead_letter.reason) == (
        "t",
        0,
        1,
        "EVENT_INVALID",
    )
    assert bytes(dead_letter.payload) == b"raw"
    assert source.dead[0].stage == "decode"
    assert stream.flow.quarantined()["d1"].reason == "EVENT_INVALID"
    assert set(stream.texts()) == {"d0"}


@pytest.mark.catalogue("F07")
def test_a_document_that_cannot_be_read_is_given_up_on_and_the_rest_continues(stream: StreamHarness) -> None:
    stream.push("bad", BROKEN, media_type=None)
    stream.push("good", "Fine.")
    drain(stream.consumer_loop())
    (dead_letter,) = letters(stream)
    assert (dead_letter.locator, bytes(dead_letter.payload)) == ("bad", BROKEN)
    assert stream.texts() == {"good": "Fine."}
    assert [row.outcome for row in stream.all("SELECT outcome FROM rag.inbox ORDER BY seq")] == ["dead", "applied"]
    assert [row.content for row in stream.all("SELECT content FROM rag.inbox")] == [None, None]


def test_a_redriven_dead_letter_is_tried_again_and_forgotten_when_it_works(stream: StreamHarness) -> None:
    stream.push("bad", BROKEN, media_type=None)
    drain(stream.consumer_loop())
    with stream.store.engine.begin() as connection:
        # The producer's fault is mended by hand here, so that the second try differs.
        connection.execute(text("UPDATE rag.dead_letters SET payload = 'Readable now.'"))
        entry = stream.flow.quarantined()["bad"].id
        quarantine.redrive(connection, entry, tenant="acme", actor="test")
    assert redrive(stream.store, stream.applier, "again") == 1
    assert stream.texts() == {"bad": "Readable now."}
    assert letters(stream) == []
    assert stream.flow.quarantined() == {}


def test_a_redriven_dead_letter_gets_the_metadata_and_the_rules_of_its_source_file(stream: StreamHarness) -> None:
    stream.push("bad", "502 Bad Gateway\n\nnginx")
    drain(stream.consumer_loop())
    with stream.store.engine.begin() as connection:
        quarantine.redrive(connection, stream.flow.quarantined()["bad"].id, tenant="acme", actor="test")
    configured = replace(PUSHED, metadata={"team": "ops"}, quality=QualityPolicy({"error_page": "ignore"}))
    assert redrive(stream.store, stream.applier, "again", [configured]) == 1
    assert stream.flow.row("bad").metadata["team"] == "ops"
    assert letters(stream) == []


@pytest.mark.catalogue("F49")
def test_a_dead_letter_that_cannot_be_stored_stops_the_stream_before_it(stream: StreamHarness) -> None:
    source = ListSource([message(0, BROKEN)])
    source.dead_error = Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, "the topic is away")
    consumer_loop = stream.consumer_loop(source)
    with pytest.raises(Unavailable):
        drain(consumer_loop)
    assert (source.recorded, letters(stream), stream.flow.quarantined()) == ([], [], {})
    source.dead_error = None
    drain(consumer_loop)
    assert [letter.offset for letter in letters(stream)] == [0]


@pytest.mark.catalogue("B70")
def test_a_stream_of_poison_stops_instead_of_draining_into_the_dead_letters(stream: StreamHarness) -> None:
    poison = InvalidInput(Reason.EVENT_INVALID, "value: not JSON")
    source = ListSource([message(number, failure=poison) for number in range(300)])
    settings = stream.settings.model_copy(update={"stream_poison_window": 100, "stream_poison_fraction": 0.2})
    consumer_loop = ConsumerLoop(source, stream.applier, stream.store, settings, stream.metrics)
    stopping = threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    deadline = threading.Event()
    while not consumer_loop.state.startswith("halted") and not deadline.wait(0.01):
        assert runner.is_alive()
    stopping.set()
    runner.join(10)
    assert consumer_loop.state == "halted: POISON_RATE"
    assert len(letters(stream)) <= 20


def test_an_event_that_fails_alone_is_isolated_and_given_up_on_after_its_attempts(stream: StreamHarness) -> None:
    def fail(*_arguments: Any) -> Any:
        raise ValueError("a defect")

    stream.applier.apply = fail  # type: ignore[method-assign]
    stream.push("a", "Text.")
    consumer_loop = stream.consumer_loop()
    batch = consumer_loop.source.poll(1)
    for _ in range(stream.settings.stream_attempts - 1):
        with pytest.raises(Unavailable) as retried:
            consumer_loop.process(batch)
        assert retried.value.reason is Reason.EVENT_FAILED
    consumer_loop.process(batch)
    assert letters(stream)[0].reason == "EVENT_FAILED"


@pytest.mark.catalogue("F09")
def test_while_the_index_is_slow_or_away_nothing_more_is_polled(stream: StreamHarness) -> None:
    failing = Failing(stream.index)
    stream.index = failing  # type: ignore[assignment]
    failing.error = Unavailable(Reason.INDEX_UNAVAILABLE, "away")
    polls = []

    class Counting(InboxSource):
        def poll(self, wait: float) -> list[StreamMessage]:
            polls.append(wait)
            return super().poll(wait)

    stream.push("a", "Text.")
    consumer_loop = stream.consumer_loop(Counting(stream.store, stream.settings))
    stopping = threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    while failing.failures < 3:
        assert not stopping.wait(0.01)
    stream.push("b", "Text.")
    assert len(polls) == 1
    failing.error = None
    while set(stream.texts()) != {"a", "b"}:
        assert not stopping.wait(0.01)
    stopping.set()
    runner.join(10)


def test_two_workers_share_an_inbox_one_at_a_time_and_the_other_takes_over(stream: StreamHarness) -> None:
    first, second = stream.consumer_loop(), stream.consumer_loop()
    stream.push("a", "Text.")
    batch = first.source.poll(1)
    assert [one.locator for one in batch] == ["a"]
    assert second.source.poll(0.1) == []
    first.source.close()
    # The database gives the lock away when it has noticed that the first one's connection is closed.
    assert eventually(lambda: second.source.poll(0.05))
    drain(second)
    assert set(stream.texts()) == {"a"}


@pytest.mark.catalogue("F43")
def test_a_clock_that_runs_ahead_gives_no_negative_latency(stream: StreamHarness) -> None:
    from datetime import UTC, datetime

    stream.push("a", "Text.", event_at=datetime(9999, 1, 1, tzinfo=UTC))
    stream.push("b", "Text.", event_at=datetime(1970, 1, 1, tzinfo=UTC))
    drain(stream.consumer_loop())
    assert set(stream.texts()) == {"a", "b"}
    total = stream.metrics.registry.get_sample_value("rag_stream_latency_seconds_sum", {"stream": "inbox"})
    assert total is not None
    assert total > 0


def test_a_document_whose_version_no_index_has_is_found_and_finished(stream: StreamHarness) -> None:
    stream.push("a", "Text.")
    failpoints.arm("after_commit:1:raise")
    consumer_loop = stream.consumer_loop()
    with pytest.raises(FailpointReached):
        consumer_loop._apply_together(consumer_loop.source.poll(1))  # type: ignore[arg-type]
    assert (count_pending(stream.store), stream.texts()) == (1, {})
    assert finish_pending(stream.store, stream.applier, "later") == 1
    assert (count_pending(stream.store), stream.texts()) == (0, {"a": "Text."})


def test_applied_pushes_are_forgotten_after_their_time(stream: StreamHarness) -> None:
    stream.push("a", "Text.")
    drain(stream.consumer_loop())
    clean_up(stream.store, stream.settings)
    assert len(stream.all("SELECT 1 FROM rag.inbox")) == 1
    with stream.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.inbox SET applied_at = now() - interval '3 days'"))
    clean_up(stream.store, stream.settings)
    assert stream.all("SELECT 1 FROM rag.inbox") == []


def test_a_worker_is_alive_while_it_beats(stream: StreamHarness) -> None:
    with stream.store.engine.begin() as connection:
        streams.heartbeat(connection, "w", {"inbox": {"state": "running"}})
        assert streams.live_workers(connection, within_seconds=10) == ["w"]
        connection.execute(text("UPDATE rag.stream_workers SET beat_at = now() - interval '1 minute'"))
        assert streams.live_workers(connection, within_seconds=10) == []
        streams.deregister(connection, "w")
        assert streams.workers(connection) == []


def test_a_halting_problem_of_the_source_stops_the_pump_until_an_operator_acts(stream: StreamHarness) -> None:
    class Lost(ListSource):
        def poll(self, wait: float) -> list[StreamMessage]:
            raise Conflict(Reason.OFFSET_OUT_OF_RANGE, "not in the topic")

    consumer_loop = stream.consumer_loop(Lost([]))
    stopping = threading.Event()
    runner = threading.Thread(target=consumer_loop.run, args=(stopping,))
    runner.start()
    while not consumer_loop.state.startswith("halted"):
        assert not stopping.wait(0.01)
    assert stream.metrics.registry.get_sample_value("rag_stream_halted", {"stream": "list"}) == 1
    stopping.set()
    runner.join(10)
