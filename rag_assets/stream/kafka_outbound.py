"""What a Kafka source tells others: dead letters on one topic, completions on another, where they are configured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import KafkaException, Producer

from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream.base import Message
from rag_core.errors import Reason, Unavailable
from rag_core.ids import document_id
from rag_core.logging import get_logger
from rag_core.sources import Source
from rag_core.store.streams import DeadLetter

log = get_logger(__name__)
_FLUSH_SECONDS: Final = 15.0


class Outbound:
    """The producer of one source; none is opened when neither topic is configured."""

    def __init__(self, options: KafkaOptions, source: Source) -> None:
        self._options, self._source = options, source
        produces = options.dead_letter_topic or options.completion_topic
        self._producer = Producer(producer_config(options)) if produces else None

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once the broker has them all. Raises `Unavailable` (`DEAD_LETTER_UNAVAILABLE`) when it does not."""
        topic = self._options.dead_letter_topic
        if self._producer is None or topic is None or not letters:
            return
        for letter in letters:
            _produce(self._producer, topic, letter.locator, letter.payload, _headers(letter))
        if self._producer.flush(_FLUSH_SECONDS):
            self._producer.purge()
            raise _undelivered()

    def complete(self, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        """Say what became of messages. Nobody waits for it, and one that cannot be sent is logged and let go."""
        topic = self._options.completion_topic
        if self._producer is None or topic is None:
            return
        for message in messages:
            body = json.dumps(self._completion(message, outcomes)).encode()
            try:
                _produce(self._producer, topic, message.locator, body, [])
            except Unavailable as error:
                log.warning(
                    "completion_not_told",
                    source=self._source.name,
                    position=message.position.token,
                    reason=error.reason,
                )

    def close(self) -> None:
        """Give what waits a last chance."""
        if self._producer is not None:
            self._producer.flush(_FLUSH_SECONDS)

    def _completion(self, message: Message, outcomes: Mapping[str, str]) -> dict[str, object]:
        event, position = message.event, message.position
        return {
            "doc_id": str(document_id(self._source.tenant, self._source.name, message.locator)),
            "outcome": outcomes.get(position.token, "applied"),
            "source_version": event.source_version if event is not None else None,
            "topic": position.topic,
            "partition": position.partition,
            "offset": position.offset,
            "at": datetime.now(UTC).isoformat(),
        }


def _produce(
    producer: Producer, topic: str, key: str, value: bytes | None, headers: Sequence[tuple[str, bytes]]
) -> None:
    try:
        producer.produce(topic, key=key.encode(), value=value, headers=list(headers))
        producer.poll(0)
    except (BufferError, KafkaException):
        raise _undelivered() from None


def _undelivered() -> Unavailable:
    return Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, "the dead-letter topic did not take a message; trying again")


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    said = {
        "rag-reason": letter.reason,
        "rag-stage": letter.stage,
        "rag-message": letter.message,
        "rag-topic": letter.topic,
        "rag-partition": str(letter.partition),
        "rag-offset": str(letter.offset),
        "rag-sha256": letter.sha256.hex(),
        "rag-source": f"{letter.tenant}/{letter.source}",
    }
    return [(name, value.encode("utf-8", "replace")) for name, value in said.items()]
