"""Rows of stream workers: dead letters and heartbeats."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, text

from rag_core.database import storable

_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be applied. `payload=None` when it was too large to store, or deleted.

    `key` and `headers` are from the topic's message, even when unusable; `size` and `sha256` are of its value.
    """

    tenant: str
    source: str
    locator: str
    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    message: str
    sha256: bytes
    payload: bytes | None
    attributes: Mapping[str, Any]
    attempts: int
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    size: int = 0


_ADD_DEAD_LETTERS = text("""
INSERT INTO rag.dead_letters (tenant, source, locator, topic, partition, "offset", stage, reason, message, sha256,
                              payload, attributes, attempts, key, headers, size)
VALUES (:tenant, :source, :locator, :topic, :partition, :offset, :stage, :reason, :message, :sha256, :payload,
        CAST(:attributes AS jsonb), :attempts, :key, CAST(:headers AS jsonb), :size)
ON CONFLICT (tenant, source, topic, partition, "offset") DO UPDATE
SET stage = excluded.stage, reason = excluded.reason, message = excluded.message,
    attempts = dead_letters.attempts + excluded.attempts
""")


def add_dead_letters(connection: Connection, dead_letters: Sequence[DeadLetter]) -> None:
    """Store dead letters in the transaction that advances past their messages."""
    if dead_letters:
        connection.execute(
            _ADD_DEAD_LETTERS,
            [
                asdict(letter)
                | {
                    "locator": storable(letter.locator),
                    "message": storable(letter.message)[:_MAX_MESSAGE],
                    "attributes": json.dumps(dict(letter.attributes)),
                    "headers": json.dumps([_kept(*header) for header in letter.headers]),
                }
                for letter in dead_letters
            ],
        )


def _kept(name: str, value: bytes | None) -> tuple[str, str | None]:
    return storable(name), None if value is None else base64.b64encode(value).decode()


_REDRIVEN_DEAD_LETTERS = text("""
SELECT d.id, d.tenant, d.source, d.locator, d.topic, d.partition, d."offset", d.payload, d.attributes
FROM rag.dead_letters d
JOIN rag.quarantine q ON q.tenant = d.tenant AND q.source = d.source AND q.locator = d.locator
WHERE q.attempts = 0 AND q.token IS NULL AND d.payload IS NOT NULL AND d.id > :after
  AND d.attributes ? 'source_version' AND d.tenant || '/' || d.source = ANY(:streams)
ORDER BY d.id LIMIT :limit
""")


def redriven_dead_letters(
    connection: Connection, streams: Sequence[str], limit: int, *, after: int = 0
) -> Sequence[Any]:
    """Dead letters of these streams whose quarantine entry an operator has redriven, by id after `after`.

    Malformed messages are not included: a corrected one arrives through its topic.
    """
    return connection.execute(_REDRIVEN_DEAD_LETTERS, {"streams": list(streams), "limit": limit, "after": after}).all()


def delete_dead_letters(connection: Connection, ids: Sequence[int]) -> int:
    """Delete dead letters that have since been applied; returns their number."""
    return connection.execute(text("DELETE FROM rag.dead_letters WHERE id = ANY(:ids)"), {"ids": list(ids)}).rowcount


def count_dead_letters(connection: Connection) -> int:
    """Count dead letters."""
    return int(connection.scalar(text("SELECT count(*) FROM rag.dead_letters")) or 0)


_MOOT = text("""
DELETE FROM rag.dead_letters d
WHERE d.created_at < now() - make_interval(days => :days)
  AND NOT EXISTS (SELECT FROM rag.quarantine q WHERE q.tenant = d.tenant AND q.source = d.source
                  AND q.locator = d.locator)
""")


def purge_dead_letters(connection: Connection, *, days: int) -> int:
    """Delete old dead letters that nothing in the quarantine stands for any more; returns how many."""
    return connection.execute(_MOOT, {"days": days}).rowcount


_HEARTBEAT = text("""
INSERT INTO rag.stream_workers (worker, details) VALUES (:worker, CAST(:details AS jsonb))
ON CONFLICT (worker) DO UPDATE SET beat_at = now(), details = excluded.details
""")
_FORGOTTEN = text("DELETE FROM rag.stream_workers WHERE beat_at < now() - interval '1 day'")


def heartbeat(connection: Connection, worker: str, details: Mapping[str, Any]) -> None:
    """Record a heartbeat of a worker; workers silent for a day are deleted."""
    connection.execute(_HEARTBEAT, {"worker": worker, "details": json.dumps(dict(details))})
    connection.execute(_FORGOTTEN)


def workers(connection: Connection, *, within_seconds: float = 86_400) -> list[dict[str, Any]]:
    """Workers with a heartbeat within `within_seconds`: `worker`, `started_at`, `beat_at`, `details`."""
    statement = text(
        "SELECT worker, started_at, beat_at, details FROM rag.stream_workers"
        " WHERE beat_at > now() - make_interval(secs => :seconds) ORDER BY beat_at DESC"
    )
    return [dict(row._mapping) for row in connection.execute(statement, {"seconds": within_seconds})]


def halted_sources(workers: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """The sources that workers have halted: `stream`, `tenant`, `source` and `reason` of each."""
    for worker in workers:
        for stream, details in worker["details"].items():
            for one in details.get("halted_sources", ()):
                yield {"stream": stream, **one}


def deregister(connection: Connection, worker: str) -> None:
    """Delete a worker that shut down."""
    connection.execute(text("DELETE FROM rag.stream_workers WHERE worker = :worker"), {"worker": worker})


def live_workers(connection: Connection, *, within_seconds: float) -> list[str]:
    """Names of workers with a heartbeat within `within_seconds`, by the database's clock."""
    statement = text("SELECT worker FROM rag.stream_workers WHERE beat_at > now() - make_interval(secs => :seconds)")
    return list(connection.scalars(statement, {"seconds": within_seconds}))
