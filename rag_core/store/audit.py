"""Who did what: operator actions, append only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from rag_core.store.tables import audit


def record(connection: Connection, *, actor: str, action: str, target: str, details: Mapping[str, Any]) -> int:
    """Append one action in the current transaction, so that it is on record exactly when it happened.

    `details["tenant"]` says who may read it. Returns its number.
    """
    values = {"actor": actor, "action": action, "target": target, "details": dict(details)}
    return int(connection.execute(insert(audit).values(**values).returning(audit.c.id)).scalar_one())


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
    statement = statement.where(columns.details["tenant"].astext == tenant).order_by(columns.id.desc()).limit(limit)
    for column, value in ((columns.actor, actor), (columns.target, target)):
        if value:
            statement = statement.where(column == value)
    if action:
        statement = statement.where(columns.action.startswith(action, autoescape=True))
    if before is not None:
        statement = statement.where(columns.id < before)
    return [Action(*row) for row in connection.execute(statement)]
