"""Whether a run may list only what changed, and where it starts: where the last run that held nothing back ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from rag_core.pipeline.base import Scope
from rag_core.sources import Changes, Connector, Incremental
from rag_core.store import absence, quarantine, sources


def open_changes(
    connection: Connection, connector: Connector, scope: Scope, *, parsed_as: str, attempts: int
) -> Changes | None:
    """A listing of what changed, `None` when everything must be listed.

    Everything is listed the first time, when parser, metadata or options are new, while deletions are held, and while
    an input is due to be tried again, because a changes listing would not name it.
    """
    if not isinstance(connector, Incremental):
        return None
    tenant, source = scope.source.tenant, scope.source.name
    saved = sources.cursor(connection, tenant, source, scope.shard)
    if saved.get("parsed_as") != parsed_as or sources.held_deletions(connection, tenant, source):
        return None
    if quarantine.retry_due(connection, tenant, source, scope.shard, attempts):
        return None
    return connector.list_changes(saved.get("position") or {})


def fits(connection: Connection, changes: Changes, scope: Scope) -> bool:
    """Whether the source holds as many items as we know of. If not, rows were deleted that no change tells about."""
    rows = changes.rows
    return rows is None or absence.known(connection, scope.source.tenant, scope.source.name) == rows


def save(connection: Connection, scope: Scope, parsed_as: str, position: Mapping[str, Any] | None) -> None:
    """Remember where the next run starts, in the transaction that ends this one."""
    if position is not None:
        value = {"parsed_as": parsed_as, "position": dict(position)}
        sources.save_cursor(connection, scope.source.tenant, scope.source.name, scope.shard, value)
