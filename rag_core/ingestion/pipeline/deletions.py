"""Deletions: only after a complete listing, and held when a source seems to have lost most of its documents."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.content.documents import store as documents
from rag_core.content.documents import tombstone_store as tombstones
from rag_core.content.sources import Scope, deletion_store
from rag_core.content.sources import listing_store as listing
from rag_core.content.sources import store as sources
from rag_core.database import Store
from rag_core.errors import Reason
from rag_core.settings import Settings

_PAGE = 1000
Committed = Callable[[], None]


def _nothing() -> None:
    """The default callback: ignore the deletions."""


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """Counts of deleted documents of the shard, and of held deletions of the shard and of the source.

    `disappeared` documents `disappeared_of` so many of the source are missing without an approval, and are not held.
    """

    deleted: int = 0
    held: int = 0
    held_in_source: int = 0
    disappeared: int = 0
    disappeared_of: int = 0


def delete_gone(
    connection: Connection,
    scope: Scope,
    settings: Settings,
    *,
    search: bool = True,
    committed: Committed = _nothing,
) -> DeletionResult:
    """Delete the shard's documents that a complete listing does not name, unless the guard holds the deletions.

    The guard counts over the whole source, because each shard alone might stay below the limits. It holds deletions
    when the listing is empty, or when more than `delete_guard_fraction` and at least `delete_guard_minimum` documents
    are missing, not counting deletions that an operator has approved. An approval covers the documents held at that
    time. Without `search` nothing is deleted. `committed` is called after each page of deletions.
    """
    tenant, source = scope.source.tenant, scope.source.name
    missing = deletion_store.find_deleted(connection, tenant, source) if search else 0
    connection.commit()
    deletion_store.lock(connection, tenant, source)
    deletion_store.release_returned(connection, tenant, source)
    unapproved = deletion_store.count_unapproved(connection) if missing else 0
    alive = documents.live(connection, tenant, source) if unapproved else 0
    if unapproved and (listing.is_empty(connection) or _many(settings, unapproved, alive)):
        return _hold(connection, scope, missing)
    deletion_store.record_count(connection, tenant, source)
    connection.commit()
    deleted = _soft_delete(connection, scope, committed) if missing else 0
    return DeletionResult(deleted, disappeared=unapproved, disappeared_of=alive)


def delete_removed(
    connection: Connection, scope: Scope, settings: Settings, *, committed: Committed = _nothing
) -> DeletionResult:
    """Delete the shard's documents that a listing of changes reports as deleted, unless the guard holds the deletions.

    Deletions that an earlier run held stay held: a listing of changes does not cover them.
    """
    tenant, source = scope.source.tenant, scope.source.name
    missing = deletion_store.find_removed(connection, tenant, source)
    alive = documents.live(connection, tenant, source) if missing else 0
    connection.commit()
    if _many(settings, missing, alive):
        deletion_store.lock(connection, tenant, source)
        return _hold(connection, scope, missing)
    deleted = _soft_delete(connection, scope, committed)
    return DeletionResult(deleted, disappeared=missing, disappeared_of=alive)


def _hold(connection: Connection, scope: Scope, missing: int) -> DeletionResult:
    deletion_store.hold(connection, scope.source.tenant, scope.source.name)
    connection.commit()
    held = sum(len(page) for page in deletion_store.deleted_ids(connection, scope.shard, _PAGE))
    return DeletionResult(held=held, held_in_source=missing)


def approve_deletions(store: Store, tenant: str, source: str, actor: str) -> int:
    """Approve the deletions that are held now; audited. Returns their number.

    Raises `NotFound` (`SOURCE_NOT_FOUND`), and `Conflict` (`MASS_DELETE_HELD`) when nothing is held.
    """
    with store.engine.begin() as connection:
        return sources.approve(connection, tenant, source, actor)


def soft_delete(connection: Connection, scope: Scope, doc_ids: Sequence[uuid.UUID]) -> int:
    """Turn documents into tombstones and commit."""
    deleted = tombstones.soft_delete(connection, scope.run_id, doc_ids)
    connection.commit()
    failpoints.reach("after_commit")
    return deleted


def _soft_delete(connection: Connection, scope: Scope, committed: Committed) -> int:
    deleted = 0
    for page in deletion_store.deleted_ids(connection, scope.shard, _PAGE):
        deletion_store.release(connection, page)
        deleted += soft_delete(connection, scope, page)
        committed()
    if deleted:
        deletion_store.lock(connection, scope.source.tenant, scope.source.name)
        deletion_store.record_count(connection, scope.source.tenant, scope.source.name)
        connection.commit()
    return deleted


def listing_problem(error: str | None, kept: DeletionResult) -> tuple[str | None, str | None]:
    """The reason code and message of a listing that could not be applied as a whole; `None` for none."""
    if error is not None:
        return Reason.LISTING_INCOMPLETE, f"the source was not listed to its end, nothing was deleted: {error}"
    if kept.held_in_source:
        return Reason.MASS_DELETE_HELD, (
            f"{kept.held_in_source} documents are not at the source any more; they stay until an operator "
            "approves their deletion"
        )
    return None, None


def _many(settings: Settings, missing: int, alive: int) -> bool:
    return missing >= settings.delete_guard_minimum and missing > settings.delete_guard_fraction * alive
