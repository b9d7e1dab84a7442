"""A topic as of its present end: the newest change of each key, as if it were a list of documents.

Only for inspection (`rag verify --sources`); joins no consumer group. `rag_assets.stream_worker` consumes the topic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from rag_assets.connectors.kafka.decode import Decoder, Record
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.outside import ListingState
from rag_assets.connectors.spool import Spool
from rag_core.content.sources import Problem, SourceItem
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable

_READ_AT_ONCE = 500
SECONDS = 30.0
"""Longest silence of a broker that has not said yet that this was all."""


class TopicListing(ListingState):
    """The `Listing` of a topic. It is complete only when the topic still has everything that was ever in it."""

    unfinished = "the topic was not read to its end"

    def __init__(
        self,
        options: KafkaOptions,
        decoder: Decoder,
        ends: dict[int, tuple[int, int]],
        consumer: Consumer,
        spool: Spool,
    ) -> None:
        super().__init__()
        self._options, self._decoder, self._ends, self._consumer = options, decoder, ends, consumer
        self._spool, self.version_tag = spool, ""

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        try:
            for record in self._records():
                self._fold(record)
        except RagError as error:
            self._errors[str(error)] = None
            return
        for locator in self._spool.locators():
            _, about = self._spool.get(locator) or (b"", {"deleted": True})
            if not about["deleted"]:
                yield SourceItem(locator, about["token"])
        if expired := {number: low for number, (low, _) in self._ends.items() if low > 0}:
            message = f"the topic has forgotten its first messages (up to {expired}), so it is not the whole truth"
            self._errors[message] = None
        self._finished = True

    def _records(self) -> Iterator[Record]:
        places = [TopicPartition(self._options.topic, number, low) for number, (low, _) in self._ends.items()]
        return read_to_end(self._consumer, places)

    def _fold(self, record: Record) -> None:
        """The newest version wins, and one that brings no ACL keeps what it had. What is no event changes nothing."""
        try:
            event = self._decoder.event(record)
        except InvalidInput:
            return
        _, known = self._spool.get(event.locator) or (b"", None)
        if known is not None and known["version"] >= event.source_version:
            return
        kept = known["acl"] if known is not None and not known["deleted"] else None
        self._spool.replace(
            event.locator,
            event.content or b"",
            version=event.source_version,
            token=event.token,
            deleted=event.content is None,
            media_type=event.media_type,
            title=event.title,
            acl=list(event.acl) if event.acl is not None else kept,
            metadata=dict(event.metadata),
        )


def read_to_end(consumer: Consumer, places: Sequence[TopicPartition]) -> Iterator[Record]:
    """Every message from these offsets to the end of each partition, by the log itself.

    The consumer reports ends (`client.reader_config`). Raises `Unavailable` (`BROKER_UNAVAILABLE`).
    """
    return (record_of(raw) for raw in _until_end(consumer, places) if raw.error() is None)


def log_ends(consumer: Consumer, places: Sequence[TopicPartition]) -> dict[int, int]:
    """The offset after the last message of each partition, by the log itself from these offsets on.

    A broker may name the start of its last batch as the end when it is asked. Raises as `read_to_end`.
    """
    reached = (raw for raw in _until_end(consumer, places) if raw.error() is not None)
    return {raw.partition(): raw.offset() for raw in reached}


def _until_end(consumer: Consumer, places: Sequence[TopicPartition]) -> Iterator[Any]:
    """Messages, and for each partition the report that this was its last."""
    left = {place.partition for place in places}
    if left:
        consumer.assign(list(places))
    while left:
        first = consumer.poll(SECONDS)
        if first is None:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"topic {places[0].topic}: silent for {SECONDS:.0f} s")
        for raw in (first, *consumer.consume(_READ_AT_ONCE, 0)):
            error = raw.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise Unavailable(Reason.BROKER_UNAVAILABLE, f"topic {places[0].topic}: {error.name()}")
            if error is not None:
                left.discard(raw.partition() or 0)
            yield raw


def record_of(raw: Any, version: int | None = None) -> Record:
    """A message of the client, and what orders it when that is known to be more than its offset."""
    kind, stamp = raw.timestamp()
    headers = {name: value for name, value in raw.headers() or () if isinstance(value, bytes)}
    at = stamp if kind else None
    return Record(raw.topic(), raw.partition(), raw.offset(), raw.key(), raw.value(), at, headers, version)
