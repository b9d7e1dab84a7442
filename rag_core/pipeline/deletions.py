"""Deletions: earned by a complete listing, guarded against a source that seems to have lost most of its documents."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.pipeline.base import Scope
from rag_core.settings import Settings
from rag_core.store import absence, documents, listing, sources, tombstones
from rag_core.store.engine import Store

_PAGE = 1000
Committed = Callable[[], None]


def _nothing() -> None:
    """Nobody waits for the deletions."""


@dataclass(frozen=True, slots=True)
class Deletions:
    """How many documents of the shard were deleted, and how many of the shard and of the source are held."""

    deleted: int = 0
    held: int = 0
    held_in_source: int = 0


def delete_gone(
    connection: Connection,
    scope: Scope,
    settings: Settings,
    *,
    search: bool = True,
    committed: Committed = _nothing,
) -> Deletions:
    """Bury the shard's documents that a complete listing does not name, unless the guard holds them.

    The guard looks at the whole source, so that shards cannot each delete a little of a lot. It holds when nothing is
    listed any more, or when more than `delete_guard_fraction` and at least `delete_guard_minimum` documents are gone.
    An operator's approval releases up to the number that was held, once. Without `search` nothing is known to be gone.
    `committed` is called after each page of deletions.
    """
    tenant, source = scope.source.tenant, scope.source.name
    missing = absence.find_gone(connection, tenant, source) if search else 0
    if missing == 0:
        sources.hold(connection, tenant, source, 0)
        connection.commit()
        return Deletions()
    approved = sources.approved_deletions(connection, tenant, source)
    if _suspicious(connection, scope, settings, missing) and missing > approved:
        sources.hold(connection, tenant, source, missing)
        held = sum(len(page) for page in absence.gone(connection, scope.shard, _PAGE))
        connection.commit()
        return Deletions(held=held, held_in_source=missing)
    connection.commit()
    deleted = _bury(connection, scope, committed)
    if deleted == missing:
        sources.hold(connection, tenant, source, 0)
        connection.commit()
    return Deletions(deleted=deleted)


def delete_removed(
    connection: Connection, scope: Scope, settings: Settings, *, committed: Committed = _nothing
) -> Deletions:
    """Bury the shard's documents that a listing of changes says are deleted, unless the guard holds them.

    A hold that an earlier run left stands: these documents say nothing about the others.
    """
    tenant, source = scope.source.tenant, scope.source.name
    missing = absence.find_removed(connection, tenant, source)
    if missing and _many(connection, scope, settings, missing):
        sources.hold(connection, tenant, source, missing)
        held = sum(len(page) for page in absence.gone(connection, scope.shard, _PAGE))
        connection.commit()
        return Deletions(held=held, held_in_source=missing)
    connection.commit()
    return Deletions(deleted=_bury(connection, scope, committed))


def approve_deletions(store: Store, tenant: str, source: str, actor: str) -> int:
    """Release the deletions that are held now, for the next run only; audited. Returns how many.

    Raises `NotFound` (`SOURCE_NOT_FOUND`), and `Conflict` (`MASS_DELETE_HELD`) when nothing is held.
    """
    with store.engine.begin() as connection:
        return sources.approve(connection, tenant, source, actor)


def bury(connection: Connection, scope: Scope, doc_ids: Sequence[uuid.UUID]) -> int:
    """Tombstone some documents and commit."""
    buried = tombstones.bury(connection, scope.run_id, doc_ids)
    connection.commit()
    failpoints.reach("after_commit")
    return buried


def _bury(connection: Connection, scope: Scope, committed: Committed) -> int:
    buried = 0
    for page in absence.gone(connection, scope.shard, _PAGE):
        buried += bury(connection, scope, page)
        committed()
    return buried


def _suspicious(connection: Connection, scope: Scope, settings: Settings, missing: int) -> bool:
    if listing.entries(connection) == 0:
        return True
    return _many(connection, scope, settings, missing)


def _many(connection: Connection, scope: Scope, settings: Settings, missing: int) -> bool:
    alive = documents.live(connection, scope.source.tenant, scope.source.name)
    return missing >= settings.delete_guard_minimum and missing > settings.delete_guard_fraction * alive
