"""What every stream promises, whatever carries it."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

from rag_assets.stream_worker.base import StreamMessage, StreamSource

SECONDS = 20.0


def taken(source: StreamSource, count: int) -> list[StreamMessage]:
    """So many messages, however many polls it takes."""
    found: list[StreamMessage] = []
    deadline = time.monotonic() + SECONDS
    while len(found) < count and time.monotonic() < deadline:
        found += source.poll(1.0)
    assert len(found) == count
    return found


def record(harness: Any, source: StreamSource, messages: list[StreamMessage]) -> None:
    with harness.stream.store.engine.begin() as connection:
        source.record(connection, messages, {message.position.token: "applied" for message in messages})
    source.done(messages, {})


def test_messages_come_in_order_with_versions_that_grow(harness: Any) -> None:
    for number in range(3):
        harness.put("a", f"Text {number}.")
    harness.delete("a")
    with closing(harness.open()) as source:
        events = [message.event for message in taken(source, 4)]
    contents = [None if event is None or event.content is None else event.content.decode() for event in events]
    assert contents == ["Text 0.", "Text 1.", "Text 2.", None]
    versions = [event.source_version for event in events if event is not None]
    assert versions == sorted(set(versions))


def test_what_is_recorded_never_comes_again_and_what_is_not_does(harness: Any) -> None:
    for locator in ("a", "b", "c"):
        harness.put(locator, "Text.")
    with closing(harness.open()) as source:
        record(harness, source, taken(source, 3)[:2])
    with closing(harness.open()) as source:
        assert [message.locator for message in taken(source, 1)] == ["c"]


def test_progress_that_is_rolled_back_is_no_progress(harness: Any) -> None:
    harness.put("a", "Text.")
    with closing(harness.open()) as source:
        messages = taken(source, 1)
        with harness.stream.store.engine.connect() as connection:
            source.record(connection, messages, {})
            connection.rollback()
    with closing(harness.open()) as source:
        assert [message.locator for message in taken(source, 1)] == ["a"]


def test_a_poll_ends_when_something_comes_not_when_its_time_is_over(harness: Any) -> None:
    harness.put("first", "Text.")
    with closing(harness.open()) as source:
        record(harness, source, taken(source, 1))
        found: list[StreamMessage] = []
        # A poll that waited for the end of its time would outlast the test's.
        waiter = threading.Thread(target=lambda: found.extend(source.poll(1000)), daemon=True)
        waiter.start()
        harness.put("a", "Text.")
        waiter.join(4 * SECONDS)
        assert [message.locator for message in found] == ["a"]


def test_a_batch_is_bounded_in_messages(harness: Any) -> None:
    for number in range(5):
        harness.put(f"d{number}", "Text.")
    with closing(harness.open(stream_batch_events=2, stream_linger_ms=500)) as source:
        sizes = []
        while sum(sizes) < 5:
            batch = source.poll(SECONDS)
            record(harness, source, batch)
            sizes.append(len(batch))
        assert max(sizes) <= 2


def test_a_batch_is_bounded_in_bytes_and_a_large_message_goes_alone(harness: Any) -> None:
    for number in range(4):
        harness.put(f"d{number}", "word " * 100)
    with closing(harness.open(stream_batch_bytes=600, stream_linger_ms=500)) as source:
        total = 0
        while total < 4:
            batch = source.poll(SECONDS)
            record(harness, source, batch)
            assert 1 <= len(batch) <= 2
            total += len(batch)


def test_lag_counts_what_waits_and_ends_at_nothing(harness: Any) -> None:
    for number in range(3):
        harness.put(f"d{number}", "Text.")
    with closing(harness.open()) as source:
        messages = taken(source, 3)
        assert source.lag().messages == 3
        record(harness, source, messages)
        assert source.lag().messages == 0
        assert source.at_end()


def test_a_stream_ends_up_in_the_index(harness: Any) -> None:
    harness.put("a", "Pumps need oil.")
    harness.put("b", "Valves need grease.")
    harness.put("a", "Pumps need more oil.")
    harness.delete("b")
    stream = harness.stream
    consumer_loop = stream.consumer_loop(harness.open())
    done = 0
    while done < 4:
        batch = consumer_loop.source.poll(SECONDS)
        consumer_loop.process(batch)
        done += len(batch)
    assert stream.texts() == {"a": "Pumps need more oil."}
    assert sum(consumer_loop.counts[name] for name in ("applied", "deleted", "superseded", "stale")) == 4
