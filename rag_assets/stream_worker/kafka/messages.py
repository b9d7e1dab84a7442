"""Decode a topic's messages on the thread that applies them, because a schema registry may have to be asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag_assets.connectors.kafka.decode import Decoder, Record
from rag_assets.stream_worker.base import Position, StreamMessage
from rag_assets.stream_worker.inbox import attributes_of
from rag_core.content.sources import Source
from rag_core.errors import InvalidInput, Reason


@dataclass(frozen=True, slots=True)
class Received:
    """A message as the broker gave it; `at` is when it was produced, in seconds since 1970."""

    record: Record
    headers: Sequence[tuple[str, bytes | None]]
    at: float

    @property
    def size(self) -> int:
        return len(self.record.value or b"")


def message_of(source: Source, decoder: Decoder, received: Received) -> StreamMessage:
    """The event of a message, or why it is none. Raises `Unavailable` when that cannot be said now."""
    record = received.record
    message = StreamMessage(
        source,
        Position(record.topic, record.partition, record.offset),
        decoder.locator(record),
        record.value,
        size=received.size,
        key=record.key,
        headers=received.headers,
        traceparent=record.headers.get("traceparent", b"").decode("ascii", "replace") or None,
    )
    try:
        event = decoder.event(record)
    except InvalidInput as failure:
        if failure.reason is Reason.MESSAGE_TOO_LARGE:
            digest = hashlib.sha256(record.value or b"").digest()
            return replace(message, failure=failure, payload=None, digest=digest)
        return replace(message, failure=failure)
    return replace(message, payload=event.content, event=event, attributes=attributes_of(event))
