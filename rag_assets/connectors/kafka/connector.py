"""What can be asked of a topic without consuming it: whether it is there, how much it holds, what its messages mean."""

from __future__ import annotations

from typing import Any, NoReturn

from confluent_kafka import Consumer, KafkaException, TopicPartition

from rag_assets.connectors.kafka.client import consumer_config
from rag_assets.connectors.kafka.decode import Decoder, Record
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_core.errors import ConfigError, InvalidInput, RagError, Reason, Unavailable
from rag_core.ids import fingerprint
from rag_core.models import SourceItem
from rag_core.sources import Source

BROKER_SECONDS = 5.0
SAMPLE = 3


class KafkaConnector:
    """Implements the part of `Connector` that a stream has: `check` and `change_token`. A topic has no listing."""

    def __init__(self, options: KafkaOptions, source: Source) -> None:
        self._options, self._source = options, source

    def list_items(self) -> NoReturn:
        raise _no_listing()

    def fetch(self, item: SourceItem) -> NoReturn:
        raise _no_listing()

    def change_token(self) -> str:
        return fingerprint(sorted(self.ends().items()))

    def ends(self) -> dict[int, tuple[int, int]]:
        """The first offset and the one after the last, by partition. Raises `Unavailable` (`BROKER_UNAVAILABLE`)."""
        consumer = Consumer(consumer_config(self._options, self._source))
        try:
            return self._ends(consumer)
        finally:
            consumer.close()

    def check(self) -> dict[str, Any]:
        try:
            Decoder(self._options, self._source)
            consumer = Consumer(consumer_config(self._options, self._source))
            try:
                ends = self._ends(consumer)
                sample = self._sample(consumer, ends)
            finally:
                consumer.close()
        except RagError as error:
            return {"ok": False, "items": 0, "sample": [], "error": f"{error.reason}: {error.message}"}
        return {"ok": True, "items": sum(high - low for low, high in ends.values()), "sample": sample}

    def _ends(self, consumer: Consumer) -> dict[int, tuple[int, int]]:
        name = self._options.topic
        try:
            topic = consumer.list_topics(name, timeout=BROKER_SECONDS).topics[name]
            if topic.error is not None or not topic.partitions:
                raise Unavailable(Reason.BROKER_UNAVAILABLE, f"topic {name}: does not exist")
            return {
                number: consumer.get_watermark_offsets(TopicPartition(name, number), timeout=BROKER_SECONDS)
                for number in topic.partitions
            }
        except KafkaException as error:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"topic {name}: {error.args[0].name()}") from None

    def _sample(self, consumer: Consumer, ends: dict[int, tuple[int, int]]) -> list[str]:
        """The last messages of one partition, each as its key or as why it cannot be used."""
        filled = [(number, low, high) for number, (low, high) in ends.items() if high > low]
        if not filled:
            return []
        number, low, high = filled[0]
        consumer.assign([TopicPartition(self._options.topic, number, max(low, high - SAMPLE))])
        return [self._said(raw) for raw in consumer.consume(min(SAMPLE, high - low), BROKER_SECONDS)]

    def _said(self, raw: Any) -> str:
        if raw.error() is not None:
            return str(raw.error().name())
        record = Record(raw.topic(), raw.partition(), raw.offset(), raw.key(), raw.value(), raw.timestamp()[1])
        try:
            return Decoder(self._options, self._source).event(record).locator
        except InvalidInput as refused:
            return f"{record.token}: {refused.reason}: {refused.message}"


def _no_listing() -> ConfigError:
    return ConfigError(Reason.CONFIG_INVALID, "a topic has no listing; see `rag stream status` and `rag stream drain`")
