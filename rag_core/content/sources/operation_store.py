"""Rows of source operations: a request of an operator, and the result that a worker stores.

The query server stores a request, which needs connectors that it does not have; the stream worker carries it out in a
process of its own. Results may quote documents, so they are kept for an hour only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.content.sources.base import Source
from rag_core.database import locks
from rag_core.database.tables.content import sources
from rag_core.database.tables.operations import source_operations as operations
from rag_core.errors import Exhausted, NotFound, Reason
from rag_core.governance.audit import audit_store as audit

MAX_OPEN_OF_TENANT = 8
MAX_PICTURES = 200
"""Pictures of pages that are kept, the newest; none for longer than other results."""


class Action(StrEnum):
    """Actions on a source; the names of `ragproto.admin.v1.SourceAction`, and one that readers ask for."""

    CHECK = "check"
    PREVIEW = "preview"
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PAGE = "page"
    """Draw a page of a document, for a reader; not an action on the source."""
    KINDS = "kinds"
    BROWSE = "browse"


class OperationState(StrEnum):
    """The state of an operation; the names of `ragproto.admin.v1.SourceOperationState`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Operation:
    """A row. `unrestricted`: the caller has a platform scope, so that allow-lists do not apply."""

    id: int
    tenant: str
    actor: str
    unrestricted: bool
    action: Action
    source: str
    request: dict[str, Any]
    state: OperationState
    result: dict[str, Any] | None
    reason: str
    message: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def add(
    connection: Connection,
    *,
    tenant: str,
    actor: str,
    unrestricted: bool,
    action: Action,
    source: str,
    request: Mapping[str, Any],
    why: str = "",
) -> Operation:
    """Store a request and its audit entry in the current transaction.

    Raises `Exhausted` (`OVERLOADED`) while `MAX_OPEN_OF_TENANT` operations of the tenant are open.
    """
    locks.lock_transaction(connection, f"source operations/{tenant}")
    waiting = (operations.c.tenant == tenant) & operations.c.finished_at.is_(None) & _of_lane(action)
    if (connection.scalar(select(func.count()).select_from(operations).where(waiting)) or 0) >= MAX_OPEN_OF_TENANT:
        message = f"{MAX_OPEN_OF_TENANT} operations on sources of this tenant are open; wait for one to end"
        raise Exhausted(Reason.OVERLOADED, message)
    values = {
        "tenant": tenant, "actor": actor, "unrestricted": unrestricted, "action": action, "source": source,
        "request": dict(request),
    }  # fmt: skip
    row = connection.execute(insert(operations).values(values).returning(operations)).one()
    if action is Action.PAGE:
        return _from_row(row)  # reading is not audited
    details: dict[str, Any] = {"tenant": tenant, "operation": row.id} | ({"reason": why} if why else {})
    if request.get("dry_run"):
        details["dry_run"] = True
    audit.record(connection, actor=actor, action=f"source.{action}", target=source, details=details)
    return _from_row(row)


def get(connection: Connection, number: int, *, tenant: str | None = None) -> Operation:
    """One operation, of this tenant when one is given. Raises `NotFound` (`SOURCE_OPERATION_NOT_FOUND`)."""
    statement = select(operations).where(operations.c.id == number)
    if tenant is not None:
        statement = statement.where(operations.c.tenant == tenant)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.SOURCE_OPERATION_NOT_FOUND, "operation: not found; results are kept for an hour")
    return _from_row(row)


def find_page(connection: Connection, tenant: str, request: Mapping[str, Any]) -> Operation | None:
    """The newest picture of this page that was or is being drawn; `None` when there is none or it failed."""
    same = (operations.c.tenant == tenant, operations.c.action == Action.PAGE, operations.c.request == dict(request))
    statement = select(operations).where(*same, operations.c.state != OperationState.FAILED)
    row = connection.execute(statement.order_by(operations.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _from_row(row)


def _of_lane(action: Action) -> ColumnElement[bool]:
    """Pictures for readers and operations of administrators do not wait for each other."""
    return (operations.c.action == Action.PAGE) == (action is Action.PAGE)


# One at a time for each tenant, so that no tenant holds every place.
_CLAIM = text("""
UPDATE rag.source_operations SET state = 'running', started_at = now() WHERE id = (
    SELECT id FROM rag.source_operations o
    WHERE state = 'queued' AND finished_at IS NULL AND (action = 'page') = :pages AND NOT EXISTS (
        SELECT FROM rag.source_operations r
        WHERE r.tenant = o.tenant AND r.state = 'running' AND (r.action = 'page') = :pages)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, action
""")


def any_queued(connection: Connection) -> bool:
    """Return whether an operation waits: cheaper than to take one."""
    waiting = (operations.c.state == OperationState.QUEUED) & operations.c.finished_at.is_(None)
    return bool(connection.scalar(select(select(operations.c.id).where(waiting).exists())))


def claim(connection: Connection, *, pages: bool = False) -> tuple[int, Action] | None:
    """Take the oldest queued operation of a tenant that has none running; `None` when there is none.

    With `pages` the oldest picture that is asked for, else only others.
    """
    row = connection.execute(_CLAIM, {"pages": pages}).one_or_none()
    return None if row is None else (int(row.id), Action(row.action))


def finish(
    connection: Connection,
    number: int,
    *,
    result: Mapping[str, Any] | None = None,
    reason: str = "",
    message: str = "",
) -> bool:
    """Store the result of a running operation; false when it has ended already. A failure has a reason code."""
    state = OperationState.FAILED if reason else OperationState.SUCCEEDED
    ended = update(operations).where(operations.c.id == number, operations.c.finished_at.is_(None))
    values = {"state": state, "result": None if result is None else dict(result), "reason": reason,
              "message": message, "finished_at": func.now()}  # fmt: skip
    return connection.execute(ended.values(values)).rowcount > 0


_EXPIRE = text("""
UPDATE rag.source_operations SET state = 'failed', finished_at = now(), reason = :reason,
    message = 'the operation did not end in time; try again'
WHERE finished_at IS NULL AND coalesce(started_at, requested_at) < now() - make_interval(secs => :seconds)
""")
_PURGE = text("DELETE FROM rag.source_operations WHERE finished_at < now() - interval '1 hour'")


_PURGE_PICTURES = text("""
DELETE FROM rag.source_operations WHERE action = 'page' AND finished_at IS NOT NULL AND id NOT IN (
    SELECT id FROM rag.source_operations WHERE action = 'page' ORDER BY id DESC LIMIT :most)
""")


def clean_up(connection: Connection, *, seconds: float) -> None:
    """Fail operations that are older than `seconds` (their worker died, or none came), and delete old results."""
    connection.execute(_EXPIRE, {"seconds": seconds, "reason": Reason.SOURCE_OPERATION_TIMEOUT})
    connection.execute(_PURGE)
    connection.execute(_PURGE_PICTURES, {"most": MAX_PICTURES})


def register(connection: Connection, source: Source) -> None:
    """Add the row of a new source, so that it is listed before its first run; an existing row stays as it is."""
    acl = list(source.acl) if source.acl is not None else None
    values = {"tenant": source.tenant, "name": source.name, "kind": source.kind, "shards": source.shards, "acl": acl}
    connection.execute(upsert(sources).values(values).on_conflict_do_nothing())


def _from_row(row: Any) -> Operation:
    values = dict(row._mapping)
    values["action"], values["state"] = Action(values["action"]), OperationState(values["state"])
    return Operation(**values)
