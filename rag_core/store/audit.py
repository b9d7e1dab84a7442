"""Who did what, when, and how it ended: append only, in a chain of hashes per tenant (migration 0012).

A document stands in it by its id. What it is called is kept beside it, where an erasure removes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.store.tables import audit, audit_documents

OK = "ok"
_SHOWN = ("id", "at", "actor", "action", "target", "outcome", "tenant", "details", "doc_id")


@dataclass(frozen=True, slots=True)
class Document:
    """The document an action was done to, with the name it has now."""

    doc_id: UUID
    source: str
    locator: str


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
    doc_id: UUID | None = None
    locator: str | None = None
    """What the document is called, while that is not erased; only in what `find` returns."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries are wanted; every given value must match, `action_start` as a beginning."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    tenant: str | None = None
    action_start: str | None = None
    doc_id: UUID | None = None
    platform: bool = False
    """With `tenant`: also what concerns no tenant."""
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
    document: Document | None = None,
    doc_id: UUID | None = None,
) -> int:
    """Append one action in the current transaction, so that it is on record exactly when it happened.

    `tenant`, or `details["tenant"]`, says who may read it; `doc_id` is for a document whose name is not to be kept.
    Returns its number. Call it last: until the transaction ends
    every other action of the tenant waits for its place in the chain.
    """
    whose = tenant if tenant is not None else details.get("tenant")
    if document is not None:
        doc_id = document.doc_id
        names = {"doc_id": doc_id, "tenant": whose, "source": document.source, "locator": document.locator}
        connection.execute(upsert(audit_documents).values(names).on_conflict_do_nothing())
    return _insert(connection, Entry(actor, action, target, tenant=whose, details=details, doc_id=doc_id))


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Append entries; tenant by tenant, so that two writers never wait for each other in a circle."""
    for entry in sorted(entries, key=lambda entry: entry.tenant or ""):
        _insert(connection, entry)


def find(connection: Connection, query: Query) -> list[Entry]:
    """Entries, the one that was put on record last first."""
    columns = audit.c
    named = audit.outerjoin(audit_documents, audit_documents.c.doc_id == columns.doc_id)
    shown = [columns[name] for name in _SHOWN]
    statement = select(*shown, audit_documents.c.locator).select_from(named).order_by(columns.id.desc())
    statement = statement.limit(query.limit)
    for name in ("actor", "action", "target", "outcome", "doc_id"):
        value = getattr(query, name)
        if value is not None:
            statement = statement.where(columns[name] == value)
    if query.tenant is not None:
        statement = statement.where(_concerns(query.tenant, platform=query.platform))
    if query.action_start is not None:
        statement = statement.where(columns.action.startswith(query.action_start, autoescape=True))
    if query.since is not None:
        statement = statement.where(columns.at >= query.since)
    if query.before is not None:
        statement = statement.where(columns.id < query.before)
    return [Entry(**row._mapping) for row in connection.execute(statement)]


def _concerns(tenant: str, *, platform: bool) -> ColumnElement[bool]:
    """What was done to a tenant's data, and what its people did to the platform: their names begin with its own."""
    if platform:
        return or_(audit.c.tenant == tenant, audit.c.tenant.is_(None))
    ours = audit.c.tenant.is_(None) & audit.c.actor.startswith(f"{tenant}/", autoescape=True)
    return or_(audit.c.tenant == tenant, ours)


def _insert(connection: Connection, entry: Entry) -> int:
    known = {"details": dict(entry.details)} | ({"at": entry.at} if entry.at is not None else {})
    values = {name: getattr(entry, name) for name in ("actor", "action", "target", "outcome", "tenant", "doc_id")}
    values |= known
    return int(connection.execute(insert(audit).values(values).returning(audit.c.id)).scalar_one())
