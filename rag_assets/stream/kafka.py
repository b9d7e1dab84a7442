"""A Kafka topic as a stream.

One thread polls and never works, so a slow batch does not put this consumer out of its group; what it has read waits in
a bounded buffer, and a full buffer pauses the topic. Positions are rows in PostgreSQL, written with the documents; the
group's own offsets are told to the broker afterwards, for those who watch it, and never read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from sqlalchemy import Connection

from rag_assets.connectors.kafka.client import consumer_config, reader_config
from rag_assets.connectors.kafka.decode import Decoder
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.kafka.snapshot import log_ends, record_of
from rag_assets.stream.base import Lag, Message, Position
from rag_assets.stream.inbox import attributes_of
from rag_assets.stream.kafka_outbound import Outbound
from rag_core.errors import Conflict, InvalidInput, RagError, Reason, Unavailable
from rag_core.logging import get_logger
from rag_core.settings import Settings
from rag_core.sources import Source
from rag_core.store import streams
from rag_core.store.engine import Store
from rag_core.store.streams import DeadLetter

log = get_logger(__name__)
_POLL_SECONDS = 0.2
_BROKER_SECONDS = 5.0
_AWAY_SECONDS = 10.0


class KafkaSource:
    """Implements `StreamSource`. Starts its polling thread at once; joins the group on its own."""

    stops_on_poison = True

    def __init__(self, options: KafkaOptions, source: Source, store: Store, settings: Settings) -> None:
        self.name = f"kafka:{source.name}"
        self.stream = f"{source.tenant}/{source.name}"
        self._options, self._source, self._store, self._settings = options, source, store, settings
        self._decoder = Decoder(options, source)
        self._consumer = Consumer(consumer_config(options, source), error_cb=self._on_error)
        self._outbound = Outbound(options, source)
        self._ready = threading.Condition()
        self._buffer: deque[tuple[Message, float]] = deque()
        self._bytes = 0
        self._positions: dict[int, int] = {}
        self._highs: dict[int, int] = {}
        self._untold: dict[int, int] = {}
        """Offsets the broker has not been told; only the polling thread talks to it."""
        self._problem: RagError | None = None
        self._away_since: float | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._poll_forever, name=f"poll-{source.name}", daemon=True)
        self._thread.start()

    def poll(self, wait: float) -> list[Message]:
        deadline = time.monotonic() + wait
        with self._ready:
            while not self._buffer and self._problem is None and (left := deadline - time.monotonic()) > 0:
                self._ready.wait(left)
            if not self._buffer:
                self._raise_problem()
                return []
            lingered = time.monotonic() + self._settings.stream_linger_ms / 1000
            while not self._full_batch() and (left := lingered - time.monotonic()) > 0:
                self._ready.wait(left)
            return self._take()

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        self._outbound.publish_dead(letters)

    def record(self, connection: Connection, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        streams.advance(connection, self.stream, self._options.topic, _next_offsets(messages))

    def done(self, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        offsets = _next_offsets(messages)
        with self._ready:
            for number, offset in offsets.items():
                if number in self._positions:  # else it was taken away meanwhile
                    self._positions[number] = self._untold[number] = offset
        self._outbound.complete(messages, outcomes)

    def lag(self) -> Lag:
        with self._ready:
            oldest = self._buffer[0][1] if self._buffer else time.time()
            behind = sum(max(0, high - self._positions.get(number, high)) for number, high in self._highs.items())
            return Lag(behind, max(0.0, time.time() - oldest))

    def close(self) -> None:
        self._closing = True
        self._thread.join(timeout=30)
        self._consumer.close()
        self._outbound.close()

    def at_end(self) -> bool:
        """Whether every assigned partition has been handed out up to its end. For a run that drains."""
        with self._ready:
            known = bool(self._highs)
            return known and not self._buffer and all(
                self._positions.get(number, -1) >= high for number, high in self._highs.items()
            )  # fmt: skip

    def _full_batch(self) -> bool:
        return len(self._buffer) >= self._settings.stream_batch_events or self._bytes >= (
            self._settings.stream_batch_bytes
        )

    def _take(self) -> list[Message]:
        taken: list[Message] = []
        size = 0
        while self._buffer and len(taken) < self._settings.stream_batch_events:
            message = self._buffer[0][0]
            if taken and size + message.size > self._settings.stream_batch_bytes:
                break
            self._buffer.popleft()
            self._bytes -= message.size
            size += message.size
            taken.append(message)
        return taken

    def _raise_problem(self) -> None:
        if self._problem is not None:
            raise self._problem
        if self._away_since is not None and time.monotonic() - self._away_since > _AWAY_SECONDS:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"{self.name}: the broker cannot be reached")

    # --- on the polling thread --------------------------------------------------------------------------------

    def _poll_forever(self) -> None:
        self._consumer.subscribe(
            [self._options.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        paused = False
        looked = 0.0
        while not self._closing:
            full = len(self._buffer) >= self._options.buffer_messages or self._bytes >= self._options.buffer_bytes
            if full != paused:
                self._consumer.pause(self._consumer.assignment()) if full else self._consumer.resume(
                    self._consumer.assignment()
                )
                paused = full
            self._tell_broker()
            first = self._consumer.poll(_POLL_SECONDS)
            if first is not None:
                self._receive([first, *self._consumer.consume(self._settings.stream_batch_events, 0)])
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                self._look_at_ends()

        self._tell_broker()

    def _tell_broker(self) -> None:
        """For those who watch the group. A failure changes nothing: our positions are rows."""
        with self._ready:
            untold, self._untold = self._untold, {}
        if not untold:
            return
        try:
            self._consumer.commit(
                offsets=[TopicPartition(self._options.topic, *pair) for pair in untold.items()], asynchronous=True
            )
        except KafkaException as error:
            log.debug("broker_not_told", stream=self.name, problem=error.args[0].name())

    def _receive(self, received: Sequence[Any]) -> None:
        messages = []
        for raw in received:
            if (error := raw.error()) is not None:
                self._on_error(error)
                continue
            self._away_since = None
            messages.append((self._message(raw), _produced_at(raw)))
        with self._ready:
            self._buffer.extend(messages)
            self._bytes += sum(message.size for message, _ in messages)
            self._ready.notify_all()

    def _message(self, raw: Any) -> Message:
        record = record_of(raw)
        position = Position(record.topic, record.partition, record.offset)
        locator, size = self._decoder.locator(record), len(record.value or b"")
        try:
            event = self._decoder.event(record)
        except InvalidInput as failure:
            kept = record.value if failure.reason is not Reason.MESSAGE_TOO_LARGE else None
            return Message(self._source, position, locator, kept, None, failure, {}, size)
        return Message(self._source, position, locator, event.content, event, None, attributes_of(event), size)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Start each partition where our rows say, after checking that the topic still has that place."""
        try:
            placed = [self._place(partition) for partition in partitions]
        except RagError as problem:
            self._fail(problem)
            placed = []
        except KafkaException as error:
            self._fail(Unavailable(Reason.BROKER_UNAVAILABLE, f"{self.name}: {error.args[0].name()}"))
            placed = []
        consumer.assign(placed)

    def _place(self, partition: TopicPartition) -> TopicPartition:
        with self._store.engine.connect() as connection:
            known = streams.offsets(connection, self.stream, self._options.topic)
        low, high = self._consumer.get_watermark_offsets(partition, timeout=_BROKER_SECONDS)
        # A partition that is new in a topic already consumed holds messages that nobody has seen.
        fresh = low if known or self._options.start == "earliest" else high
        wanted = known.get(partition.partition, fresh)
        if wanted > high > low:  # before the stream is stopped, the log itself has the word
            high = self._end_of(TopicPartition(partition.topic, partition.partition, high - 1))
        if not low <= wanted <= high:
            raise Conflict(
                Reason.OFFSET_OUT_OF_RANGE,
                f"{self.name}: position {wanted} of partition {partition.partition} is not in {low}..{high}",
            )
        with self._ready:
            self._positions[partition.partition] = wanted
            self._highs[partition.partition] = high
        return TopicPartition(partition.topic, partition.partition, wanted)

    def _end_of(self, place: TopicPartition) -> int:
        reader = Consumer(reader_config(self._options, self._source))
        try:
            return log_ends(reader, [place])[place.partition]
        finally:
            reader.close()

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Forget what was read of partitions that are another's now. A batch already taken ends as it may: whoever has
        them next reads the same messages, and versions decide."""
        gone = {partition.partition for partition in partitions}
        with self._ready:
            kept = [item for item in self._buffer if item[0].position.partition not in gone]
            self._buffer = deque(kept)
            self._bytes = sum(message.size for message, _ in kept)
            for number in gone:
                self._positions.pop(number, None)
                self._untold.pop(number, None)
                self._highs.pop(number, None)

    def _look_at_ends(self) -> None:
        for number in list(self._highs):
            try:
                _, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self._options.topic, number), timeout=_BROKER_SECONDS, cached=True
                )
            except KafkaException:
                return
            if high >= 0:
                with self._ready:
                    if number in self._highs:
                        self._highs[number] = max(high, self._highs[number])

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET or error.code() == KafkaError.OFFSET_OUT_OF_RANGE:
            self._fail(Conflict(Reason.OFFSET_OUT_OF_RANGE, f"{self.name}: our position is not in the topic"))
        elif self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("broker_problem", stream=self.name, problem=error.name())

    def _fail(self, problem: RagError) -> None:
        with self._ready:
            self._problem = problem
            self._ready.notify_all()


def _next_offsets(messages: Sequence[Message]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for message in messages:
        partition, offset = message.position.partition, message.position.offset
        offsets[partition] = max(offsets.get(partition, 0), offset + 1)
    return offsets


def _produced_at(raw: Any) -> float:
    kind, stamp = raw.timestamp()
    return stamp / 1000 if kind else time.time()
