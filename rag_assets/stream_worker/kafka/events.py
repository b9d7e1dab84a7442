"""Events to the completion topic of a Kafka source: a subscription to `kafka:SOURCE` in place of an address."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from rag_assets.connectors import fetch_policy
from rag_assets.connectors.kafka.brokers import require_brokers
from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.streams import kafka_configs
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from rag_core.governance.webhooks import KAFKA, Delivery, ReceiverResponse, Webhook
from rag_core.settings import Settings

_FLUSH_SECONDS: Final = 12.0
"""A little more than `message.timeout.ms` of the producer, after which the broker's silence is an error."""
_READ_SECONDS: Final = 5.0


class KafkaEvents:
    """Implements `rag_core.governance.webhooks.base.Sender`. Thread-safe; a producer per source, opened when first
    needed."""

    def __init__(self, settings: Settings, *, read_seconds: float = _READ_SECONDS) -> None:
        """`read_seconds`: how late a changed source file may be heeded."""
        self._settings, self._read_seconds = settings, read_seconds
        self._guard = threading.Lock()
        self._producers: dict[tuple[str, str], tuple[Producer, dict[str, Any]]] = {}
        """With what each was made of: brokers, secrets."""
        self._sources: dict[tuple[str, str], SourceConfig] = {}
        self._read_at = float("-inf")

    def send(self, webhook: Webhook, delivery: Delivery, body: bytes, headers: Mapping[str, str]) -> ReceiverResponse:
        """Returns once the broker has the message.

        Raises `NotFound` (`SOURCE_NOT_FOUND`) for a source that the tenant does not have or that names no topic,
        `Unavailable` (`BROKER_UNAVAILABLE`), `InvalidInput` (`BROKER_REFUSED`), `ConfigError`, and as `fetch_policy`.
        """
        name = webhook.url.removeprefix(KAFKA)
        with self._guard:
            producer, topic = self._open(webhook.tenant, name)
        failures: list[KafkaError | None] = []
        key = str(delivery.data.get("doc_id") or delivery.data.get("source") or delivery.type)
        try:
            producer.produce(
                topic,
                key=key.encode(),
                value=body,
                headers=[(header, value.encode()) for header, value in headers.items()],
                on_delivery=lambda error, _message: failures.append(error),
            )
        except (BufferError, KafkaException):
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"source {name}: the broker takes no messages now") from None
        producer.flush(_FLUSH_SECONDS)
        if not failures:
            raise Unavailable(Reason.BROKER_UNAVAILABLE, f"source {name}: the broker did not answer in time")
        if (error := failures[0]) is not None:
            if error.retriable() or error.code() in (KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT):
                raise Unavailable(Reason.BROKER_UNAVAILABLE, f"source {name}: the broker cannot be reached")
            raise InvalidInput(Reason.BROKER_REFUSED, f"source {name}: {error.name()}")
        return ReceiverResponse()

    def close(self) -> None:
        """Give what waits a last chance. Idempotent."""
        with self._guard:
            for producer, _ in self._producers.values():
                producer.flush(1)
            self._producers.clear()

    def _open(self, tenant: str, name: str) -> tuple[Producer, str]:
        """The producer of a source as its file is now, and its topic."""
        if time.monotonic() - self._read_at > self._read_seconds:
            self._sources = {(one.tenant, one.name): one for one in kafka_configs(self._settings)}
            self._read_at = time.monotonic()
        source = self._sources.get((tenant, name))
        options = source.options if source is not None else None
        if source is None or not isinstance(options, KafkaOptions) or options.completion_topic is None:
            self._producers.pop((tenant, name), None)
            raise NotFound(Reason.SOURCE_NOT_FOUND, f"source: no Kafka source {name!r} with a completion_topic")
        policy, config = fetch_policy(source, self._settings), producer_config(options)
        if (opened := self._producers.get((tenant, name))) is None or opened[1] != config:
            # A send by the producer before keeps it until the broker has answered.
            require_brokers(options, policy.own)
            opened = self._producers[tenant, name] = (Producer(config), config)
        return opened[0], options.completion_topic
