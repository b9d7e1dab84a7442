"""Dead letters: messages that were given up on, kept so that an operator can redrive them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from rag_assets.stream_worker.base import Position, StreamMessage
from rag_core.content.quality import QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import Source
from rag_core.content.streams import DeadLetter
from rag_core.errors import RagError
from rag_core.ingestion.pipeline import Event, RejectedEvent

DECODE = "decode"
"""Stage of a message that is no event."""


def dead_letter(message: StreamMessage, stage: str, error: RagError, attempts: int) -> DeadLetter:
    """The dead letter of a message."""
    position = message.position
    return DeadLetter(
        tenant=message.source.tenant,
        source=message.source.name,
        locator=message.locator,
        topic=position.topic,
        partition=position.partition,
        offset=position.offset,
        stage=stage,
        reason=str(error.reason),
        message=error.message,
        sha256=message.digest or hashlib.sha256(message.payload or b"").digest(),
        payload=message.payload,
        attributes=message.attributes,
        attempts=attempts,
        key=message.key,
        headers=message.headers,
        size=message.size,
    )


def dead_letters_of(messages: Sequence[StreamMessage], refused: Sequence[RejectedEvent]) -> list[DeadLetter]:
    """Dead letters of the events that the pipeline refused; their quarantine entries are the pipeline's own."""
    by_token = {message.position.token: message for message in messages}
    return [dead_letter(by_token[one.event.token], one.stage, one.error, one.attempts) for one in refused]


def quarantine_undecoded(connection: Connection, run_id: str, dead_letters: Sequence[DeadLetter]) -> None:
    """Quarantine messages that never became an event, so that operators see them."""
    for one in dead_letters:
        token = Position(one.topic, one.partition, one.offset).token
        # `parse` is a stage in which the document did not reach PostgreSQL: what was stored before stays.
        entry = QuarantineEntry(one.locator, "parse", one.reason, f"{one.message} ({token})", token, DECODE)
        quarantine.record(connection, one.tenant, one.source, 0, run_id, [entry])


def redriven_event(row: Any, source: Source) -> StreamMessage:
    """A message made from a dead letter that an operator has redriven."""
    position = Position(row.topic, row.partition, row.offset)
    said = row.attributes
    event = Event(
        row.locator,
        int(said["source_version"]),
        f"{position.token}#redrive",
        datetime.fromisoformat(said["event_at"]),
        bytes(row.payload),
        said["media_type"],
        said["title"],
        None if said["acl"] is None else tuple(said["acl"]),
        said["metadata"],
    )
    return StreamMessage(source, position, row.locator, bytes(row.payload), event, None, said, len(row.payload))
