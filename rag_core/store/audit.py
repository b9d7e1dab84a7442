"""Who did what: operator actions, append only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from rag_core.store.tables import audit


def record(connection: Connection, *, actor: str, action: str, target: str, details: Mapping[str, Any]) -> None:
    """Append one action in the current transaction, so that it is on record exactly when it happened."""
    connection.execute(insert(audit).values(actor=actor, action=action, target=target, details=dict(details)))
