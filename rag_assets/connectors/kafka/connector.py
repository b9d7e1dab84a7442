"""Inspect a topic without consuming it: existence, size, and samples of its messages."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from rag_assets.connectors.kafka.brokers import require_advertised, require_brokers
from rag_assets.connectors.kafka.client import explained, is_about_access, reader_config
from rag_assets.connectors.kafka.decode import Decoder
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.kafka.snapshot import TopicListing, log_ends, record_of
from rag_assets.connectors.spool import Spool
from rag_core.content.sources import FetchedItem, Source, SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.http_client import NO_PARTS, FetchPolicy
from rag_core.ids import fingerprint

BROKER_SECONDS = 5.0
_SILENT = logging.getLogger("rag_assets.connectors.kafka.librdkafka")
_SILENT.setLevel(logging.CRITICAL)
"""The library would write a line to standard error at every attempt to connect; the error that is raised says why."""
SAMPLE = 3


class KafkaConnector:
    """Implements `Connector` for inspection of a topic. `rag_assets.stream_worker` consumes it."""

    shares_listings = False

    def __init__(self, options: KafkaOptions, source: Source, fetch: FetchPolicy | None = None) -> None:
        self._options, self._source, self._fetch = options, source, fetch
        self._own = fetch.own if fetch is not None else NO_PARTS
        self._decoder: Decoder | None = None
        self._spool: Spool | None = None
        self._consumer: Consumer | None = None
        self._refusal: KafkaError | None = None

    def list_items(self) -> TopicListing:
        """Reads the whole topic, once, up to its present end."""
        self.close()
        self._spool = Spool()
        self._consumer = self._reader()
        ends = self._ends(self._consumer)
        return TopicListing(self._options, self._open_decoder(), ends, self._consumer, self._spool)

    def fetch(self, item: SourceItem) -> FetchedItem:
        kept = self._spool.get(item.locator) if self._spool is not None else None
        if kept is None:
            raise NotFound(Reason.VANISHED, "the topic was not listed, or does not have the document")
        content, about = kept
        acl = tuple(about["acl"]) if about["acl"] is not None else None
        return FetchedItem(item, content, about["media_type"], about["title"], acl, about["metadata"])

    def close(self) -> None:
        """Close the connections of a listing and remove its temporary file. Idempotent."""
        spool, consumer, self._spool, self._consumer = self._spool, self._consumer, None, None
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
        if spool is not None:
            spool.close()
        if consumer is not None:
            consumer.close()

    def version_tag(self) -> str:
        return fingerprint(sorted(self.ends().items()))

    def ends(self) -> dict[int, tuple[int, int]]:
        """The first offset and the one after the last, by partition. Raises `Unavailable` (`BROKER_UNAVAILABLE`)."""
        with closing(self._reader()) as consumer:
            return self._ends(consumer)

    def check(self) -> dict[str, Any]:
        try:
            decoder = self._open_decoder()
            with closing(self._reader()) as consumer:
                ends = self._ends(consumer)
                sample = self._sample(consumer, decoder, ends)
        except RagError as error:
            return {"ok": False, "items": 0, "sample": [], "error": f"{error.reason}: {error.message}"}
        return {"ok": True, "items": sum(high - low for low, high in ends.values()), "sample": sample}

    def _open_decoder(self) -> Decoder:
        self._decoder = self._decoder or Decoder(self._options, self._source, self._fetch)
        return self._decoder

    def _ends(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        name = self._options.topic
        try:
            cluster = consumer.list_topics(name, timeout=BROKER_SECONDS)
            require_advertised(cluster, self._own)
            topic = cluster.topics[name]
            if topic.error is not None:
                raise explained(f"topic {name}", topic.error)
            if not topic.partitions:
                raise Unavailable(Reason.BROKER_UNAVAILABLE, f"topic {name}: does not exist")
            said = {
                number: consumer.get_watermark_offsets(TopicPartition(name, number), timeout=BROKER_SECONDS)
                for number in topic.partitions
            }
        except KafkaException as error:
            consumer.poll(0)  # which hands over why there is no connection
            refusal, self._refusal = self._refusal, None
            raise explained(f"topic {name}", refusal or error.args[0]) from None
        last = [TopicPartition(name, number, high - 1) for number, (low, high) in said.items() if high > low]
        true = log_ends(consumer, last)
        return {number: (low, true.get(number, high)) for number, (low, high) in said.items()}

    def _reader(self) -> Consumer:
        require_brokers(self._options, self._own)
        return Consumer(reader_config(self._options, self._source), error_cb=self._on_error, logger=_SILENT)

    def _on_error(self, error: KafkaError) -> None:
        if is_about_access(error):
            self._refusal = error

    def _sample(self, consumer: Consumer, decoder: Decoder, ends: dict[int, tuple[int, int]]) -> list[str]:
        """The last messages of one partition, each as its key or as why it cannot be used."""
        filled = [(number, low, high) for number, (low, high) in ends.items() if high > low]
        if not filled:
            return []
        number, low, high = filled[0]
        consumer.assign([TopicPartition(self._options.topic, number, max(low, high - SAMPLE))])
        received = consumer.consume(min(SAMPLE, high - low), BROKER_SECONDS)
        return [_said(raw, decoder) for raw in received if not _is_end(raw)]


def _said(raw: Any, decoder: Decoder) -> str:
    if raw.error() is not None:
        return str(raw.error().name())
    record = record_of(raw)
    try:
        return decoder.event(record).locator
    except InvalidInput as refused:
        return f"{record.token}: {refused.reason}: {refused.message}"


def _is_end(raw: Any) -> bool:
    return raw.error() is not None and raw.error().code() == KafkaError._PARTITION_EOF
