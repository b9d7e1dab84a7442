"""The reading half of a Kafka stream: one thread that polls and never works.

A slow batch therefore does not put this consumer out of its group. What was read waits in a bounded buffer, and a full
buffer pauses the topic. Whatever fails while partitions are taken over is tried again for those partitions alone; the
others are read meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from rag_assets.connectors.kafka.client import consumer_config, explained, is_about_access, reader_config, refused
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.kafka.snapshot import log_ends, record_of
from rag_assets.stream_worker.base import Lag
from rag_assets.stream_worker.kafka.messages import Received
from rag_assets.stream_worker.kafka.partitions import Partition, Problems, partition_at
from rag_assets.stream_worker.kafka.topic import Topic, TopicObserver
from rag_core.content.sources import Source
from rag_core.content.streams import PartitionOffset
from rag_core.errors import Conflict, RagError, Reason, Unavailable
from rag_core.http_client import NO_PARTS, OwnParts
from rag_core.logging import get_logger

log = get_logger(__name__)
_POLL_SECONDS: Final = 0.2
_OBSERVE_SECONDS: Final = 5.0
_OBSERVE_AGAIN_SECONDS: Final = 1.0
"""While something is wrong."""
_OUT_OF_RANGE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
_OF_THE_GROUP: Final = (
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError._MAX_POLL_EXCEEDED,
)
_OF_THE_TOPIC: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_EXCEPTION)

OffsetsOf = Callable[[Topic, Mapping[int, tuple[int, int]]], dict[int, PartitionOffset]]
"""Returns where each partition is read next, by the topic as it is and the ends that are known."""


class KafkaReader:
    """Reads one topic. The methods above the line are for other threads. Starts its thread at once.

    `at_once` bounds the messages that are read between two checks of the buffer; a broker of `own` is refused.
    """

    def __init__(
        self,
        options: KafkaOptions,
        source: Source,
        name: str,
        places_of: OffsetsOf,
        *,
        at_once: int,
        own: OwnParts = NO_PARTS,
    ) -> None:
        self.buffer: deque[Received] = deque()
        self.bytes = 0
        self.ready = threading.Condition()
        """Guards what threads share, and says when there is something to take or to raise."""
        self.partitions: dict[int, Partition] = {}
        self.problems = Problems(name)
        self.halted: RagError | None = None
        """The error after which only an operator can set it going again."""
        self.topic_id = ""
        self.committed: dict[int, int] = {}
        """Offsets not yet committed to the broker; only the polling thread talks to it."""
        self._name, self._options, self._source, self._places_of = name, options, source, places_of
        self._at_once = at_once
        self._wanted: set[int] = set()
        """Partitions that the group gave us, placed or not."""
        self._joined = False
        self._seen: frozenset[int] = frozenset()
        self._paused = False
        self._looked = 0.0
        self._closing = False
        self._consumer = Consumer(consumer_config(options, source), error_cb=self._on_error)
        self._observer = TopicObserver(options, name, own)
        self._thread = threading.Thread(target=self._run, name=f"poll-{source.name}", daemon=True)
        self._thread.start()

    def lag(self) -> Lag:
        """Pending messages. For unreachable partitions the number is unknown, the time is known."""
        with self.ready:
            firsts = [one.waiting[0][1] for one in self.partitions.values() if one.waiting]
            oldest = max(0.0, time.time() - min(firsts)) if firsts else 0.0
            return Lag(sum(one.lag for one in self.partitions.values()), max(oldest, self.problems.seconds))

    def at_end(self) -> bool:
        """Return whether everything that was in the partitions of this consumer has been applied."""
        with self.ready:
            placed = self._joined and self._wanted == self.partitions.keys()
            return placed and not any(one.outstanding or not one.at_end for one in self.partitions.values())

    def close(self) -> None:
        """Leave the group."""
        self._closing = True
        self._thread.join(timeout=30)
        self._consumer.close()
        self._observer.close()

    # --- on the polling thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        self._await_group()
        callbacks = {"on_assign": self._assigned, "on_revoke": self._revoked, "on_lost": self._revoked}
        self._consumer.subscribe([self._options.topic], **callbacks)
        while not self._closing:
            self._pause_or_resume()
            self._commit_offsets()
            first = self._consumer.poll(_POLL_SECONDS)
            if first is not None:
                self._receive([first, *self._consumer.consume(self._at_once, 0)])
            self._observe_topic()
        self._commit_offsets()

    def _await_group(self) -> None:
        self._joined = False
        why = f"{self._name}: the consumer group has not given this consumer its partitions"
        self.problems.add("group", Unavailable(Reason.BROKER_UNAVAILABLE, why))

    def _pause_or_resume(self) -> None:
        full = len(self.buffer) >= self._options.buffer_messages or self.bytes >= self._options.buffer_bytes
        if full != self._paused:
            assigned = self._consumer.assignment()
            self._consumer.pause(assigned) if full else self._consumer.resume(assigned)
            self._paused = full

    def _commit_offsets(self) -> None:
        """For those who watch the group. A failure changes nothing: our positions are rows."""
        with self.ready:
            message, self.committed = self.committed, {}
        if not message:
            return
        offsets = [TopicPartition(self._options.topic, *pair) for pair in message.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            log.debug("offset_commit_failed", stream=self._name, problem=error.args[0].name())

    def _receive(self, received: Sequence[Any]) -> None:
        arrived = []
        for raw in received:
            error, held = raw.error(), self.partitions.get(raw.partition())
            ended = error is not None and error.code() == KafkaError._PARTITION_EOF
            if error is not None and not ended:
                self._on_error(error)
            elif held is not None:
                arrived.append((raw, held, None if ended else _received(raw, held.place)))
        if arrived:
            self.problems.clear("fetch")
        with self.ready:
            for raw, held, message in arrived:
                if message is None:
                    held.reach_end(raw.offset(), self._high(raw.partition()))
                else:
                    held.receive(raw.offset(), message.at)
                    self.buffer.append(message)
                    self.bytes += message.size
            self.ready.notify_all()

    def _assigned(self, _consumer: Consumer, given: list[TopicPartition]) -> None:
        """Start what can be started now. The rest is tried again by `_look`."""
        self._joined, self._paused = True, False
        self._wanted = {partition.partition for partition in given}
        self.problems.clear("group")
        try:
            self._place(self._observer.describe())
        except RagError as error:
            self._not_placed(error)
            self._assign()

    def _not_placed(self, error: RagError) -> None:
        if isinstance(error, Conflict):
            self._halt(error)
        else:
            self.problems.add("placing", error)

    def _place(self, topic: Topic) -> None:
        """Give every partition of ours its place, as far as the topic can be asked. Raises what rows and checks do."""
        ends = self._observer.ends(topic.led)
        places = self._places_of(topic, ends)
        self.topic_id, self._seen = topic.id, frozenset(topic.leaders)
        for number in self._wanted & places.keys() & ends.keys():
            if number not in self.partitions:
                self._check_place(number, places[number].next_offset, *ends[number])
        with self.ready:
            for number in self._wanted & places.keys():
                held = self.partitions.setdefault(number, partition_at(places[number]))
                held.place = places[number]  # its epoch may be another now
                held.high = max(held.high, ends.get(number, (0, -1))[1])
        self.problems.clear("placing")
        self._assign()

    def _check_place(self, number: int, wanted: int, low: int, high: int) -> None:
        if wanted > high > low:  # before the stream is stopped, the log itself has the word
            high = self._end_of(TopicPartition(self._options.topic, number, high - 1))
        if not low <= wanted <= high:
            why = f"{self._name}: position {wanted} of partition {number} is not in {low}..{high}"
            raise Conflict(Reason.OFFSET_OUT_OF_RANGE, why)

    def _assign(self) -> None:
        """Read what is placed, each from where it is; what is not keeps us waiting alone."""
        places = [TopicPartition(self._options.topic, one, held.received) for one, held in self.partitions.items()]
        self._consumer.assign(places)
        self._paused = False

    def _end_of(self, place: TopicPartition) -> int:
        with closing(Consumer(reader_config(self._options, self._source))) as reader:
            return log_ends(reader, [place])[place.partition]

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        """Forget what was read: all partitions go before any comes back. A batch already taken may still end; the
        next owner reads the same messages, and versions decide."""
        with self.ready:
            self.buffer.clear()
            self.bytes = 0
            self.partitions, self.committed, self._wanted = {}, {}, set()
        self.problems.retain({"broker", "topic", "access"})
        self._await_group()

    def _observe_topic(self) -> None:
        """Once a second where the ends are; every few seconds, sooner when something is wrong, the topic itself."""
        if time.monotonic() - self._looked > 1.0:
            self._looked = time.monotonic()
            with self.ready:
                for number, held in self.partitions.items():
                    held.high = max(held.high, self._high(number))
        found = self._observer.poll(_OBSERVE_AGAIN_SECONDS if self.problems else _OBSERVE_SECONDS)
        if isinstance(found, RagError):
            self.problems.add("broker", found)
        elif found is not None:
            self.problems.clear("broker", "topic", "access")
            self._compare(found)
            # An idle topic sends nothing: only another fetch can clear this.
            if "fetch" in self.problems:
                self._assign()

    def _compare(self, topic: Topic) -> None:
        for number in self._wanted:
            if topic.leaders.get(number):
                self.problems.clear(("leader", number))
            else:
                why = f"{self._name}: partition {number} has no leader"
                self.problems.add(("leader", number), Unavailable(Reason.BROKER_UNAVAILABLE, why))
        remade = bool(self.topic_id and topic.id) and topic.id != self.topic_id
        unplaced = (self._wanted - self.partitions.keys()) & set(topic.led)
        grown = bool(self._seen) and not self._seen >= topic.leaders.keys()
        if not (remade or (self._joined and (unplaced or grown))):
            return
        try:
            self._place(topic)
        except RagError as error:
            self._not_placed(error)

    def _high(self, number: int) -> int:
        place = TopicPartition(self._options.topic, number)
        try:
            return int(self._consumer.get_watermark_offsets(place, timeout=0, cached=True)[1])
        except KafkaException:
            return -1

    def _on_error(self, error: KafkaError) -> None:
        code, problem = error.code(), explained(self._name, error)
        if code in _OUT_OF_RANGE:
            self._halt(self._out_of_range())
        elif code in _OF_THE_GROUP:
            self.problems.add("group", problem)
        elif code in _OF_THE_TOPIC:
            self.problems.add("topic", problem)
        elif is_about_access(error):
            self.problems.add("access", problem)
        elif refused(error):
            self.problems.add("fetch", problem)
        elif code == KafkaError._ALL_BROKERS_DOWN:
            self.problems.add("broker", problem)
        else:  # one broker of several, or a moment: what `_look` finds decides
            log.debug("broker_error", stream=self._name, problem=error.name())

    def _out_of_range(self) -> Conflict:
        """Return why a position is not there: the first to notice that a topic was recreated may be a fetch."""
        try:
            remade = self._observer.describe().id not in ("", self.topic_id)
        except RagError:
            remade = False
        if remade and self.topic_id:
            return Conflict(Reason.TOPIC_RECREATED, f"{self._name}: the topic was deleted and recreated")
        return Conflict(Reason.OFFSET_OUT_OF_RANGE, f"{self._name}: our position is not in the topic")

    def _halt(self, problem: RagError) -> None:
        with self.ready:
            self.halted = problem
            self.ready.notify_all()


def _received(raw: Any, place: PartitionOffset) -> Received:
    kind, stamp = raw.timestamp()
    at = stamp / 1000 if kind else time.time()
    return Received(record_of(raw, place.version(raw.offset())), tuple(raw.headers() or ()), at)
