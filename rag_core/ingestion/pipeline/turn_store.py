"""Rows of the runs that take turns at embedding. A row whose session has ended is deleted by the next reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from rag_core.content.sources import Shard
from rag_core.database import locks

_LOCK = "embedding turn"


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A run that embeds, waits for its turn, or does neither at the moment (`idle`).

    `remaining` are bytes of its source, `rate` bytes a second while it works; `used` are the seconds that its tenant
    has worked, divided by the tenant's weight; `seconds` is how long it has been in its state.
    """

    id: int
    tenant: str
    source: str
    shard: int
    weight: float
    state: str
    remaining: int
    rate: float | None
    used: float
    seconds: float


_ADD = text("""
INSERT INTO rag.embedding_turns (tenant, source, shard, run_id, weight, state, remaining, used)
VALUES (:tenant, :source, :shard, :run_id, :weight, 'idle', 0, 0) RETURNING id
""")
_LOCKED = text("UPDATE rag.embedding_turns SET lock_key = :key WHERE id = :id")


def add(connection: Connection, shard: Shard, run_id: str, weight: float) -> int:
    """Add a run that lives as long as the connection's session, in the current transaction; returns the row's id."""
    params = dict(zip(("tenant", "source", "shard"), shard, strict=True)) | {"run_id": run_id, "weight": weight}
    number = int(connection.execute(_ADD, params).scalar_one())
    key = locks.hold_session_lock(connection, _LOCK, number)
    connection.execute(_LOCKED, {"id": number, "key": key})
    return number


_DEAD = text(f"DELETE FROM rag.embedding_turns WHERE NOT {locks.HELD}")  # noqa: S608
_ROWS = text(f"""
SELECT id, tenant, source, shard, weight, state, remaining, rate, used,
       extract(epoch FROM clock_timestamp() - since)::float8 AS seconds
FROM rag.embedding_turns WHERE {locks.HELD} ORDER BY id
""")  # noqa: S608


def lock(connection: Connection) -> list[TurnRow]:
    """All living runs, for a decision in the current transaction."""
    locks.lock_transaction(connection, "embedding turns")
    connection.execute(_DEAD)
    return rows(connection)


def rows(connection: Connection) -> list[TurnRow]:
    """All living runs."""
    return [TurnRow(**row._mapping) for row in connection.execute(_ROWS)]


_SET = text("""
UPDATE rag.embedding_turns
SET state = :state, remaining = :remaining, rate = coalesce(:rate, rate),
    since = CASE WHEN state = :state THEN since ELSE clock_timestamp() END
WHERE id = :id
""")


def change(connection: Connection, number: int, state: str, remaining: int, rate: float | None) -> None:
    """Set the state of a run."""
    connection.execute(_SET, {"id": number, "state": state, "remaining": remaining, "rate": rate})


_USED = text("UPDATE rag.embedding_turns SET used = :used WHERE id = ANY(:ids)")


def set_used(connection: Connection, numbers: Sequence[int], used: float) -> None:
    """Set what the tenant of these runs has used."""
    connection.execute(_USED, {"ids": list(numbers), "used": used})


def remove(connection: Connection, number: int) -> None:
    """Remove a run."""
    connection.execute(text("DELETE FROM rag.embedding_turns WHERE id = :id"), {"id": number})
