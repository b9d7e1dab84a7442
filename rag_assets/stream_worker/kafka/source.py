"""A Kafka topic as a stream.

Positions are rows in PostgreSQL, written with the documents; the group's own offsets are committed afterwards,
for those who watch it, and never read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from rag_assets.connectors.kafka.brokers import require_brokers
from rag_assets.connectors.kafka.decode import Decoder
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.base import Lag, StreamMessage
from rag_assets.stream_worker.kafka.messages import Received, message_of
from rag_assets.stream_worker.kafka.outbound import Outbound
from rag_assets.stream_worker.kafka.reader import KafkaReader
from rag_assets.stream_worker.kafka.topic import Topic
from rag_core.content.sources import Source
from rag_core.content.streams import DeadLetter, PartitionOffset
from rag_core.content.streams import offset_store as stream_places
from rag_core.database import Store
from rag_core.errors import RagError
from rag_core.http_client import FetchPolicy
from rag_core.settings import Settings


class KafkaSource:
    """Implements `StreamSource`. Starts its polling thread at once; joins the group on its own."""

    def __init__(
        self,
        options: KafkaOptions,
        source: Source,
        store: Store,
        settings: Settings,
        policy: FetchPolicy | None = None,
    ) -> None:
        """`policy`: what may be called; left out, what every source may. Raises as `require_brokers`."""
        policy = policy or FetchPolicy.from_settings(settings)
        require_brokers(options, policy.own)
        self.name = f"kafka:{source.name}"
        self.stream = f"{source.tenant}/{source.name}"
        self._options, self._store, self._settings = options, store, settings
        self._source = source
        self._decoder = Decoder(options, source, policy)
        self._taken: list[Received] = []
        """Taken from the buffer and not returned yet: the registry that knows what they mean could not be asked."""
        self._outbound = Outbound(options, source)
        at_once = settings.stream_batch_events
        self._reader = KafkaReader(options, source, self.name, self._places_of, at_once=at_once, own=policy.own)
        self._buffer = self._reader.buffer

    def poll(self, wait: float) -> list[StreamMessage]:
        self._taken = self._taken or self._receive(wait)
        messages = [message_of(self._source, self._decoder, one) for one in self._taken]
        self._taken = []
        return messages

    def publish_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        self._outbound.publish_dead_letters(dead_letters)

    def record(self, connection: Connection, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        self._advance(connection, _next_offsets(messages))

    def done(self, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        with self._reader.ready:
            for number, offset in _next_offsets(messages).items():
                held = self._reader.partitions.get(number)
                if held is not None:  # else it was taken away meanwhile
                    held.done(offset)
                    self._reader.committed[number] = held.applied
        self._outbound.complete(messages, outcomes)

    def lag(self) -> Lag:
        return self._reader.lag()

    def problem(self) -> RagError | None:
        return self._reader.halted or self._reader.problems.current()

    def hold(self, tenant: str, source: str) -> bool:
        return False

    def halted_sources(self) -> tuple[()]:
        return ()

    def postpone(self, tenant: str, source: str) -> bool:
        return False

    def defer(self, messages: Sequence[StreamMessage]) -> None:
        """A topic is one source: there is nobody that its slow documents could delay."""

    def at_end(self) -> bool:
        return self._reader.at_end()

    def close(self) -> None:
        self._reader.close()
        self._outbound.close()
        self._decoder.close()

    def _receive(self, wait: float) -> list[Received]:
        reader, deadline = self._reader, time.monotonic() + wait
        with reader.ready:
            while not self._buffer and reader.halted is None and (left := deadline - time.monotonic()) > 0:
                reader.ready.wait(left)
            if self._buffer:
                lingered = time.monotonic() + self._settings.stream_linger_ms / 1000
                while not self._full_batch() and (left := lingered - time.monotonic()) > 0:
                    reader.ready.wait(left)
                return self._take()
            passed = {number: held.applied for number, held in reader.partitions.items() if held.pass_marks()}
            reading = bool(reader.partitions)
        self._raise_problem(reading=reading)
        if passed:
            self._pass(passed)
        return []

    def _full_batch(self) -> bool:
        reader, settings = self._reader, self._settings
        return len(self._buffer) >= settings.stream_batch_events or reader.bytes >= settings.stream_batch_bytes

    def _take(self) -> list[Received]:
        reader, taken, size = self._reader, list[Received](), 0
        while self._buffer and len(taken) < self._settings.stream_batch_events:
            message = self._buffer[0]
            if taken and size + message.size > self._settings.stream_batch_bytes:
                break
            self._buffer.popleft()
            reader.bytes -= message.size
            size += message.size
            taken.append(message)
        return taken

    def _raise_problem(self, *, reading: bool) -> None:
        if self._reader.halted is not None:
            raise self._reader.halted
        problem = self._reader.problems.current()
        # What keeps us from one partition must not slow the others down.
        if problem is not None and not reading:
            raise problem

    def _pass(self, positions: Mapping[int, int]) -> None:
        """Record that nothing but marks of transactions was before these positions."""
        with self._store.engine.begin() as connection:
            self._advance(connection, positions)
        with self._reader.ready:
            self._reader.committed |= positions

    def _advance(self, connection: Connection, positions: Mapping[int, int]) -> None:
        reader = self._reader
        stream_places.advance(connection, self.stream, self._options.topic, reader.topic_id, positions)

    def _places_of(self, topic: Topic, ends: Mapping[int, tuple[int, int]]) -> dict[int, PartitionOffset]:
        """Return where each partition is read next; a new one begins as the options say, if its ends are known."""
        with self._store.engine.begin() as connection:
            known = stream_places.load_offsets(connection, self.stream, self._options.topic)
            # A partition that is new in a topic already consumed holds messages that nobody has seen.
            earliest = bool(known) or self._options.start == "earliest"
            fresh = {number: low if earliest else high for number, (low, high) in ends.items() if number not in known}
            highs = {number: high for number, (_, high) in ends.items()}
            return stream_places.begin(connection, self.stream, self._options.topic, topic.id, fresh, highs)


def _next_offsets(messages: Sequence[StreamMessage]) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for message in messages:
        partition, offset = message.position.partition, message.position.offset
        offsets[partition] = max(offsets.get(partition, 0), offset + 1)
    return offsets
