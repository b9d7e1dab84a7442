"""Outbound messages of a Kafka source: dead letters and completions, each on its topic when one is configured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from rag_assets.connectors.kafka.client import producer_config
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.stream_worker.base import StreamMessage
from rag_core.content.sources import Source
from rag_core.content.streams import DeadLetter
from rag_core.errors import Reason, Unavailable
from rag_core.ids import document_id
from rag_core.logging import get_logger

log = get_logger(__name__)
_FLUSH_SECONDS: Final = 15.0
_TOO_LARGE: Final = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE)

_Parts = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value and headers."""
_Form = Callable[[DeadLetter], _Parts]


class Outbound:
    """The producer of one source; none is opened when neither topic is configured."""

    def __init__(self, options: KafkaOptions, source: Source) -> None:
        self._options, self._source = options, source
        produces = options.dead_letter_topic or options.completion_topic
        self._producer = Producer(producer_config(options)) if produces else None

    def publish_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Returns once the broker has them all; one that is too large for it goes without its value, then without all
        that its sender set. Raises `Unavailable` (`DEAD_LETTER_UNAVAILABLE`) when the broker does not take them."""
        topic = self._options.dead_letter_topic
        if self._producer is None or topic is None:
            return
        left = list(dead_letters)
        for form in (_whole, _without_value, _bare):
            refused = _deliver(self._producer, topic, left, form) if left else []
            if len(left) > 1:  # the broker's limit is of a batch: what it refused beside others may fit alone
                refused = [one for one in refused if _deliver(self._producer, topic, [one], form)]
            left = refused
        if left:
            raise _undelivered("MSG_SIZE_TOO_LARGE")

    def complete(self, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        """Publish the outcomes of messages. Fire and forget: one that cannot be sent is logged."""
        topic = self._options.completion_topic
        if self._producer is None or topic is None:
            return
        for message in messages:
            body = json.dumps(self._completion(message, outcomes)).encode()
            try:
                self._producer.produce(topic, key=message.locator.encode(), value=body, on_delivery=self._not_delivered)
                self._producer.poll(0)
            except (BufferError, KafkaException) as error:
                self._not_delivered(error.args[0], None)

    def close(self) -> None:
        """Give what waits a last chance."""
        if self._producer is not None and (left := self._producer.flush(_FLUSH_SECONDS)):
            log.warning("completions_not_delivered", source=self._source.name, messages=left)

    def _not_delivered(self, error: object, _message: object) -> None:
        if error is not None:
            log.warning("completion_not_delivered", source=self._source.name, problem=str(error)[:200])

    def _completion(self, message: StreamMessage, outcomes: Mapping[str, str]) -> dict[str, object]:
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


def _deliver(producer: Producer, topic: str, dead_letters: Sequence[DeadLetter], form: _Form) -> list[DeadLetter]:
    """Send letters in one form and wait for the broker's word on each. Returns those that are too large."""
    answers: dict[int, KafkaError | None] = {}
    for number, dead_letter in enumerate(dead_letters):
        key, value, headers = form(dead_letter)
        answer = partial(_take_answer, answers, number)
        try:
            producer.produce(topic, key=key, value=value, headers=list(headers), on_delivery=answer)
        except KafkaException as error:
            answers[number] = error.args[0]
        except BufferError:
            break
        producer.poll(0)
    # What it returns are messages in the queue: one that failed is not in it, and only its callback says so.
    producer.flush(_FLUSH_SECONDS)
    failed = {number: error for number, error in answers.items() if error is not None}
    if len(answers) < len(dead_letters) or any(error.code() not in _TOO_LARGE for error in failed.values()):
        producer.purge()
        raise _undelivered(*sorted({error.name() for error in failed.values()}))
    return [dead_letters[number] for number in failed]


def _take_answer(answers: dict[int, KafkaError | None], number: int, error: KafkaError | None, _: object) -> None:
    answers[number] = error


def _undelivered(*names: str) -> Unavailable:
    why = f" ({', '.join(names)})" if names else ""
    message = f"the dead-letter topic did not take a message{why}; trying again"
    return Unavailable(Reason.DEAD_LETTER_UNAVAILABLE, message)


def _whole(dead_letter: DeadLetter) -> _Parts:
    return (
        dead_letter.key,
        dead_letter.payload,
        [*dead_letter.headers, *_headers(dead_letter, omitted=dead_letter.payload is None)],
    )


def _without_value(dead_letter: DeadLetter) -> _Parts:
    return dead_letter.key, None, [*dead_letter.headers, *_headers(dead_letter, omitted=True)]


def _bare(dead_letter: DeadLetter) -> _Parts:
    return None, None, _headers(dead_letter, omitted=True)


def _headers(dead_letter: DeadLetter, *, omitted: bool) -> list[tuple[str, bytes | None]]:
    said = {
        "rag-reason": dead_letter.reason,
        "rag-stage": dead_letter.stage,
        "rag-message": dead_letter.message,
        "rag-topic": dead_letter.topic,
        "rag-partition": str(dead_letter.partition),
        "rag-offset": str(dead_letter.offset),
        "rag-sha256": dead_letter.sha256.hex(),
        "rag-size": str(dead_letter.size),
        "rag-source": f"{dead_letter.tenant}/{dead_letter.source}",
    }
    if omitted and dead_letter.size:
        said["rag-value"] = "omitted"
    return [(name, value.encode("utf-8", "replace")) for name, value in said.items()]
