"""Who did what, when, and how it ended: append only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from rag_core.store.tables import audit

OK = "ok"


@dataclass(frozen=True, slots=True)
class Entry:
    """One action. `outcome` is `ok` or a reason code; `at` is set by the database when it is not known earlier."""

    actor: str
    action: str
    target: str
    outcome: str = OK
    tenant: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries are wanted; every given value must match."""

    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    limit: int = 50


def record(
    connection: Connection,
    *,
    actor: str,
    action: str,
    target: str,
    details: Mapping[str, Any],
    tenant: str | None = None,
) -> int:
    """Append one action in the current transaction, so that it is on record exactly when it happened.

    `tenant`, or `details["tenant"]`, says who may read it. Returns its number.
    """
    whose = tenant if tenant is not None else details.get("tenant")
    values = {"actor": actor, "action": action, "target": target, "tenant": whose, "details": dict(details)}
    return int(connection.execute(insert(audit).values(**values).returning(audit.c.id)).scalar_one())


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Append entries."""
    for entry in entries:
        values = {
            "actor": entry.actor,
            "action": entry.action,
            "target": entry.target,
            "outcome": entry.outcome,
            "tenant": entry.tenant,
            "details": dict(entry.details),
        }
        connection.execute(insert(audit).values(values if entry.at is None else {**values, "at": entry.at}))


def find(connection: Connection, query: Query) -> list[dict[str, Any]]:
    """Entries, newest first."""
    columns = audit.c
    statement = select(audit).order_by(columns.at.desc(), columns.id.desc()).limit(query.limit)
    wanted = {"actor": query.actor, "action": query.action, "outcome": query.outcome, "tenant": query.tenant}
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(columns[name] == value)
    if query.since is not None:
        statement = statement.where(columns.at >= query.since)
    return [dict(row._mapping) for row in connection.execute(statement)]


@dataclass(frozen=True, slots=True)
class Action:
    """One action on record."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    details: Mapping[str, Any]


def newest(
    connection: Connection,
    tenant: str,
    *,
    actor: str = "",
    action: str = "",
    target: str = "",
    before: int | None = None,
    limit: int,
) -> list[Action]:
    """Actions of a tenant, newest first; `action` is a beginning, an empty text means any."""
    columns = audit.c
    statement = select(columns.id, columns.at, columns.actor, columns.action, columns.target, columns.details)
    statement = statement.where(columns.tenant == tenant).order_by(columns.id.desc()).limit(limit)
    for column, value in ((columns.actor, actor), (columns.target, target)):
        if value:
            statement = statement.where(column == value)
    if action:
        statement = statement.where(columns.action.startswith(action, autoescape=True))
    if before is not None:
        statement = statement.where(columns.id < before)
    return [Action(*row) for row in connection.execute(statement)]
