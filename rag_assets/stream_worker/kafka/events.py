"""Events to the completion topic of a Kafka source: a subscription to `kafka:SOURCE` in place of an address."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.streams import kafka_configs
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from rag_core.settings import Settings
from rag_core.webhooks import KAFKA, Answer, Delivery, Webhook

_FLUSH_SECONDS: Final = 12.0
"""A little more than `message.timeout.ms` of the producer, after which the broker's silence is an error."""


class KafkaEvents:
    """Implements `rag_core.webhooks.Sender`. Thread-safe; a producer per source, opened when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._producers: dict[tuple[str, str], tuple[Producer, str]] = {}

    def send(self, webhook: Webhook, delivery: Delivery, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Returns once the broker has the message.

        Raises `NotFound` (`SOURCE_NOT_FOUND`) for a source that the tenant does not have or that names no topic,
        `Unavailable` (`BROKER_UNAVAILABLE`), `InvalidInput` (`BROKER_REFUSED`), `ConfigError`.
        """
        name = webhook.url.removeprefix(KAFKA)
        with self._guard:
            producer, topic = self._opened(webhook.tenant, name)
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
        return Answer()

    def close(self) -> None:
        """Give what waits a last chance. Idempotent."""
        with self._guard:
            for producer, _ in self._producers.values():
                producer.flush(1)
            self._producers.clear()

    def _opened(self, tenant: str, name: str) -> tuple[Producer, str]:
        if (tenant, name) not in self._producers:
            found = (one for one in kafka_configs(self._settings) if (one.tenant, one.name) == (tenant, name))
            config = next(found, None)
            options = config.options if config is not None else None
            if not isinstance(options, KafkaOptions) or options.completion_topic is None:
                raise NotFound(Reason.SOURCE_NOT_FOUND, f"source: no Kafka source {name!r} with a completion_topic")
            self._producers[tenant, name] = (Producer(producer_config(options)), options.completion_topic)
        return self._producers[tenant, name]
