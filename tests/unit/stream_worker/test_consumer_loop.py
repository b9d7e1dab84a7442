"""One stream through its pump: dead letters, isolation, the poison stop, redrive, and what a restart finds."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from rag_assets.stream_worker.base import Lag, Message, Position
from rag_assets.stream_worker.consumer_loop import Pump
from rag_assets.stream_worker.inbox import InboxSource, attributes_of
from rag_assets.stream_worker.maintenance import count_pending, finish_pending, redrive, upkeep
from rag_core import failpoints
from rag_core.errors import Conflict, InvalidInput, Reason, Unavailable
from rag_core.failpoints import FailpointReached
from rag_core.quality import QualityPolicy
from rag_core.quality import quarantine_store as quarantine
from rag_core.streams import DeadLetter
from rag_core.streams import store as streams
from tests.support.stream import PUSHED, Failing, Stream, event
from tests.support.waiting import eventually

BROKEN = b"%PDF-1.7 broken"


class ListSource:
    """A stream from a list; implements `StreamSource`."""

    name = "list"

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = list(messages)
        self.recorded: list[str] = []
        self.dead: list[DeadLetter] = []
        self.dead_error: Exception | None = None

    def poll(self, wait: float) -> list[Message]:
        return [one for one in self.messages if one.position.token not in self.recorded][:50]

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        if self.dead_error is not None:
            raise self.dead_error
        self.dead += letters

    def record(self, connection: Connection, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        """Nothing of its own."""

    def done(self, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        self.recorded += [one.position.token for one in messages]

    def lag(self) -> Lag:
        return Lag(len(self.messages) - len(self.recorded))

    def problem(self) -> None:
        pass

    def hold(self, tenant: str, source: str) -> bool:
        return False

    def held(self) -> bool:
        return False

    def postpone(self, tenant: str, source: str) -> bool:
        return False

    def defer(self, messages: Sequence[Message]) -> None:
        pass

    def at_end(self) -> bool:
        return len(self.recorded) == len(self.messages)

    def close(self) -> None:
        pass


def message(offset: int, content: bytes | None = b"Text.", failure: Any = None) -> Message:
    position = Position("t", 0, offset)
    if failure is not None:
        return Message(PUSHED, position, f"d{offset}", b"raw", None, failure)
    made = event(f"d{offset}", offset + 1, content, media_type=None)
    from dataclasses import replace

    made = replace(made, token=position.token)
    return Message(PUSHED, position, f"d{offset}", content, made, None, attributes_of(made), len(content or b""))


def letters(stream: Stream) -> list[Any]:
    return list(stream.all("SELECT * FROM rag.dead_letters ORDER BY id"))


def drain(pump: Pump) -> None:
    while batch := pump.source.poll(0):
        pump.process(batch)


def test_f18_a_worker_that_dies_before_or_after_the_commit_loses_and_repeats_nothing(stream: Stream) -> None:
    for number, point in enumerate(("before_settle", "after_commit", "after_upsert")):
        stream.push(f"d{number}", f"Text {number}.")
        failpoints.arm(f"{point}:1:raise")
        pump = stream.pump()
        with pytest.raises(FailpointReached):
            # What a kill does to the process; the pump must not take it for an event that fails.
            pump._apply_together(pump.source.poll(1))  # type: ignore[arg-type]
        pump.source.close()
        again = stream.pump()
        drain(again)
        finish_pending(stream.store, stream.applier, "later")
        again.source.close()
    assert set(stream.texts()) == {"d0", "d1", "d2"}
    assert {row.version for row in stream.all("SELECT version FROM rag.documents")} == {1}
    assert stream.all("SELECT 1 FROM rag.inbox WHERE applied_at IS NULL") == []


def test_b65_a_message_that_is_no_event_is_a_dead_letter_with_its_place(stream: Stream) -> None:
    source = ListSource([message(0), message(1, failure=InvalidInput(Reason.EVENT_INVALID, "value: not JSON"))])
    drain(stream.pump(source))
    (letter,) = letters(stream)
    assert (letter.topic, letter.partition, letter.offset, letter.reason) == ("t", 0, 1, "EVENT_INVALID")
    assert bytes(letter.payload) == b"raw"
    assert source.dead[0].stage == "decode"
    assert stream.flow.quarantined()["d1"].reason == "EVENT_INVALID"
    assert set(stream.texts()) == {"d0"}


def test_f07_a_document_that_cannot_be_read_is_given_up_on_and_the_rest_goes_on(stream: Stream) -> None:
    stream.push("bad", BROKEN, media_type=None)
    stream.push("good", "Fine.")
    drain(stream.pump())
    (letter,) = letters(stream)
    assert (letter.locator, bytes(letter.payload)) == ("bad", BROKEN)
    assert stream.texts() == {"good": "Fine."}
    assert [row.outcome for row in stream.all("SELECT outcome FROM rag.inbox ORDER BY seq")] == ["dead", "applied"]
    assert [row.content for row in stream.all("SELECT content FROM rag.inbox")] == [None, None]


def test_a_redriven_dead_letter_is_tried_again_and_forgotten_when_it_works(stream: Stream) -> None:
    stream.push("bad", BROKEN, media_type=None)
    drain(stream.pump())
    with stream.store.engine.begin() as connection:
        # The producer's fault is mended by hand here, so that the second try differs.
        connection.execute(text("UPDATE rag.dead_letters SET payload = 'Readable now.'"))
        entry = stream.flow.quarantined()["bad"].id
        quarantine.redrive(connection, entry, tenant="acme", actor="test")
    assert redrive(stream.store, stream.applier, "again") == 1
    assert stream.texts() == {"bad": "Readable now."}
    assert letters(stream) == []
    assert stream.flow.quarantined() == {}


def test_a_redriven_dead_letter_gets_the_metadata_and_the_rules_of_its_source_file(stream: Stream) -> None:
    stream.push("bad", "502 Bad Gateway\n\nnginx")
    drain(stream.pump())
    with stream.store.engine.begin() as connection:
        quarantine.redrive(connection, stream.flow.quarantined()["bad"].id, tenant="acme", actor="test")
    configured = replace(PUSHED, metadata={"team": "ops"}, quality=QualityPolicy({"error_page": "ignore"}))
    assert redrive(stream.store, stream.applier, "again", [configured]) == 1
    assert stream.flow.row("bad").metadata["team"] == "ops"
    assert letters(stream) == []


def test_f49_a_dead_letter_that_cannot_be_stored_stops_the_stream_before_it(stream: Stream) -> None:
    source = ListSource([message(0, BROKEN)])
    source.dead_error = Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, "the topic is away")
    pump = stream.pump(source)
    with pytest.raises(Unavailable):
        drain(pump)
    assert (source.recorded, letters(stream), stream.flow.quarantined()) == ([], [], {})
    source.dead_error = None
    drain(pump)
    assert [letter.offset for letter in letters(stream)] == [0]


def test_b70_a_stream_of_poison_stops_instead_of_draining_into_the_dead_letters(stream: Stream) -> None:
    poison = InvalidInput(Reason.EVENT_INVALID, "value: not JSON")
    source = ListSource([message(number, failure=poison) for number in range(300)])
    settings = stream.settings.model_copy(update={"stream_poison_window": 100, "stream_poison_fraction": 0.2})
    pump = Pump(source, stream.applier, stream.store, settings, stream.metrics)
    stopping = threading.Event()
    runner = threading.Thread(target=pump.run, args=(stopping,))
    runner.start()
    deadline = threading.Event()
    while not pump.state.startswith("halted") and not deadline.wait(0.01):
        assert runner.is_alive()
    stopping.set()
    runner.join(10)
    assert pump.state == "halted: POISON_RATE"
    assert len(letters(stream)) <= 20


def test_an_event_that_fails_alone_is_isolated_and_given_up_on_after_its_attempts(stream: Stream) -> None:
    def fail(*_arguments: Any) -> Any:
        raise ValueError("a defect")

    stream.applier.apply = fail  # type: ignore[method-assign]
    stream.push("a", "Text.")
    pump = stream.pump()
    batch = pump.source.poll(1)
    for _ in range(stream.settings.stream_attempts - 1):
        with pytest.raises(Unavailable) as retried:
            pump.process(batch)
        assert retried.value.reason is Reason.EVENT_FAILED
    pump.process(batch)
    assert letters(stream)[0].reason == "EVENT_FAILED"


def test_f09_while_the_index_is_slow_or_away_nothing_more_is_polled(stream: Stream) -> None:
    failing = Failing(stream.index)
    stream.index = failing  # type: ignore[assignment]
    failing.error = Unavailable(Reason.INDEX_UNAVAILABLE, "away")
    polls = []

    class Counting(InboxSource):
        def poll(self, wait: float) -> list[Message]:
            polls.append(wait)
            return super().poll(wait)

    stream.push("a", "Text.")
    pump = stream.pump(Counting(stream.store, stream.settings))
    stopping = threading.Event()
    runner = threading.Thread(target=pump.run, args=(stopping,))
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


def test_two_workers_share_an_inbox_one_at_a_time_and_the_other_takes_over(stream: Stream) -> None:
    first, second = stream.pump(), stream.pump()
    stream.push("a", "Text.")
    batch = first.source.poll(1)
    assert [one.locator for one in batch] == ["a"]
    assert second.source.poll(0.1) == []
    first.source.close()
    # The database gives the lock away when it has noticed that the first one's connection is closed.
    assert eventually(lambda: second.source.poll(0.05))
    drain(second)
    assert set(stream.texts()) == {"a"}


def test_f43_a_clock_that_runs_ahead_gives_no_negative_latency(stream: Stream) -> None:
    from datetime import UTC, datetime

    stream.push("a", "Text.", event_at=datetime(9999, 1, 1, tzinfo=UTC))
    stream.push("b", "Text.", event_at=datetime(1970, 1, 1, tzinfo=UTC))
    drain(stream.pump())
    assert set(stream.texts()) == {"a", "b"}
    total = stream.metrics.registry.get_sample_value("rag_stream_latency_seconds_sum", {"stream": "inbox"})
    assert total is not None
    assert total > 0


def test_a_document_whose_version_no_index_has_is_found_and_finished(stream: Stream) -> None:
    stream.push("a", "Text.")
    failpoints.arm("after_commit:1:raise")
    pump = stream.pump()
    with pytest.raises(FailpointReached):
        pump._apply_together(pump.source.poll(1))  # type: ignore[arg-type]
    assert (count_pending(stream.store), stream.texts()) == (1, {})
    assert finish_pending(stream.store, stream.applier, "later") == 1
    assert (count_pending(stream.store), stream.texts()) == (0, {"a": "Text."})


def test_applied_pushes_are_forgotten_after_their_time(stream: Stream) -> None:
    stream.push("a", "Text.")
    drain(stream.pump())
    upkeep(stream.store, stream.settings)
    assert len(stream.all("SELECT 1 FROM rag.inbox")) == 1
    with stream.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.inbox SET applied_at = now() - interval '3 days'"))
    upkeep(stream.store, stream.settings)
    assert stream.all("SELECT 1 FROM rag.inbox") == []


def test_a_worker_is_alive_while_it_beats(stream: Stream) -> None:
    with stream.store.engine.begin() as connection:
        streams.beat(connection, "w", {"inbox": {"state": "running"}})
        assert streams.alive(connection, within_seconds=10) == ["w"]
        connection.execute(text("UPDATE rag.stream_workers SET beat_at = now() - interval '1 minute'"))
        assert streams.alive(connection, within_seconds=10) == []
        streams.leave(connection, "w")
        assert streams.workers(connection) == []


def test_a_halting_problem_of_the_source_stops_the_pump_until_an_operator_acts(stream: Stream) -> None:
    class Lost(ListSource):
        def poll(self, wait: float) -> list[Message]:
            raise Conflict(Reason.OFFSET_OUT_OF_RANGE, "not in the topic")

    pump = stream.pump(Lost([]))
    stopping = threading.Event()
    runner = threading.Thread(target=pump.run, args=(stopping,))
    runner.start()
    while not pump.state.startswith("halted"):
        assert not stopping.wait(0.01)
    assert stream.metrics.registry.get_sample_value("rag_stream_halted", {"stream": "list"}) == 1
    stopping.set()
    runner.join(10)
