"""Who did what, when, and how it ended: append only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select

from rag_core.store.tables import audit

OK = "ok"


@dataclass(frozen=True, slots=True)
class Entry:
    """One action. `outcome` is `ok` or a reason code; the database sets `at` when it is not known earlier, and `id`."""

    actor: str
    action: str
    target: str
    outcome: str = OK
    tenant: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries are wanted; every given value must match, `action_start` as a beginning."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    tenant: str | None = None
    action_start: str | None = None
    since: datetime | None = None
    before: int | None = None
    """Only entries with a smaller id: those after a page that ended with it."""
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
    return _insert(connection, Entry(actor, action, target, tenant=whose, details=details))


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Append entries."""
    for entry in entries:
        _insert(connection, entry)


def find(connection: Connection, query: Query) -> list[Entry]:
    """Entries, the one that was put on record last first."""
    columns = audit.c
    statement = select(audit).order_by(columns.id.desc()).limit(query.limit)
    for name in ("actor", "action", "target", "outcome"):
        value = getattr(query, name)
        if value is not None:
            statement = statement.where(columns[name] == value)
    if query.tenant is not None:
        statement = statement.where(_concerns(query.tenant))
    if query.action_start is not None:
        statement = statement.where(columns.action.startswith(query.action_start, autoescape=True))
    if query.since is not None:
        statement = statement.where(columns.at >= query.since)
    if query.before is not None:
        statement = statement.where(columns.id < query.before)
    return [Entry(**row._mapping) for row in connection.execute(statement)]


def _concerns(tenant: str) -> ColumnElement[bool]:
    """What was done to a tenant's data, and what its people did to the platform: their names begin with its own."""
    ours = audit.c.tenant.is_(None) & audit.c.actor.startswith(f"{tenant}/", autoescape=True)
    return or_(audit.c.tenant == tenant, ours)


def _insert(connection: Connection, entry: Entry) -> int:
    known = {"details": dict(entry.details)} | ({"at": entry.at} if entry.at is not None else {})
    values = {name: getattr(entry, name) for name in ("actor", "action", "target", "outcome", "tenant")} | known
    return int(connection.execute(insert(audit).values(values).returning(audit.c.id)).scalar_one())
