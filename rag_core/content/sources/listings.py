"""Load a source's listing into its table, for a run or for a verification.

Runs of several shards list the source once: the first run lists, the others wait and take their shard's entries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import deletion_store
from rag_core.content.sources import listing_store as listing
from rag_core.content.sources import shared_listing_store as shared_listings
from rag_core.content.sources import store as sources
from rag_core.content.sources.base import (
    Changes,
    Connector,
    Incremental,
    Listing,
    Problem,
    Removed,
    Scope,
    Source,
    SourceItem,
)
from rag_core.content.sources.shared_listing_store import SharedListing
from rag_core.database import is_storable, locks, storable
from rag_core.errors import RagError, Reason
from rag_core.ids import document_id, shard_of

_PAGE = 5000
EARLY_SECONDS = 1.0
"""Time that a source is listed before the first of its items are read."""
OnPage = Callable[[], None]


@dataclass(frozen=True, slots=True)
class ListingResult:
    """The result of a listing: `error` is why it is incomplete, `duplicates` counts repeated locators.

    `version_tag` and `cursor` are the listing's own; `outcomes` are further counts (fetch results of a crawl's URLs).
    """

    error: str | None = None
    duplicates: int = 0
    version_tag: str | None = None
    cursor: Mapping[str, Any] | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)


def load_whole_listing(
    connection: Connection, connector: Connector, scope: Scope, *, listed: OnPage | None = None
) -> ListingResult:
    """Load a complete listing: list the source, or take the shard's entries of a listing that another run made.

    `listed` is called now and then while the source is being listed. A run waits while another one lists; it makes its
    own listing when the other fails or takes longer than `shared_listings.PATIENCE`.
    """
    source = scope.source
    if source.shards > 1 and connector.shares_listings and scope.requested_at is not None:
        wait = shared_listings.PATIENCE.total_seconds()
        with locks.listing_turn(connection, source.tenant, source.name, wait=wait) as mine:
            if mine:
                taken = shared_listings.take(connection, source, scope.shard, scope.requested_at)
                if taken is not None:
                    return ListingResult(None, 0, taken.version_tag, taken.cursor)
                return _list_for_all(connection, connector, scope, listed)
    result = load_listing(connection, source, connector.list_items(), listed=listed)
    close_shared(connection, source)
    return result


def close_shared(connection: Connection, source: Source) -> None:
    """Close earlier shared listings to other runs, because this run stores results of a newer listing."""
    if source.shards > 1:
        shared_listings.close(connection, source)
        connection.commit()


def _list_for_all(connection: Connection, connector: Connector, scope: Scope, listed: OnPage | None) -> ListingResult:
    number = shared_listings.begin(connection, scope.source, scope.shard)
    result = load_listing(connection, scope.source, connector.list_items(), listed=listed)
    if result.error is None:
        shared_listings.complete(connection, number, SharedListing(result.version_tag, result.cursor))
    else:
        shared_listings.discard(connection, number)
    return result


def load_listing(
    connection: Connection, source: Source, entries: Listing | Changes, *, listed: OnPage | None = None
) -> ListingResult:
    """Read a listing to its end into the prepared tables of `rag_core.content.sources.listing_store`, and commit.

    `listed` is called when an early page of it is stored, at most every `EARLY_SECONDS`.
    """
    rows: list[tuple[object, ...]] = []
    removed: list[tuple[str, int]] = []
    error: str | None = None
    stored = time.monotonic()
    try:
        for entry in entries:
            if isinstance(entry, Removed):
                removed.append((storable(entry.locator), _shard_of(source, entry.locator)))
            else:
                rows.append(_row(source, entry))
            early = listed is not None and time.monotonic() - stored >= EARLY_SECONDS
            if early or len(rows) + len(removed) >= _PAGE:
                _append(connection, rows, removed)
            if early and listed is not None:
                listed()
                stored = time.monotonic()
    except RagError as failure:
        error = str(failure)
    _append(connection, rows, removed)
    duplicates = listing.drop_repeats(connection)
    connection.commit()
    if error is None and not entries.complete:
        error = entries.error or "the listing stopped early"
    cursor, outcomes = getattr(entries, "cursor", None), getattr(entries, "outcomes", {})
    return ListingResult(error, duplicates, entries.version_tag, cursor, dict(outcomes))


def _append(connection: Connection, rows: list[tuple[object, ...]], removed: list[tuple[str, int]]) -> None:
    listing.append(connection, rows)
    listing.append_removed(connection, removed)
    connection.commit()
    rows.clear()
    removed.clear()


def _row(source: Source, entry: SourceItem | Problem) -> tuple[object, ...]:
    shard = _shard_of(source, entry.locator)
    if isinstance(entry, Problem):
        message = storable(entry.message)
        return storable(entry.locator), None, None, None, shard, str(entry.reason), message, entry.skipped
    if not (is_storable(entry.locator) and is_storable(entry.version_tag)):
        message = "the name has characters that cannot be stored"
        return storable(entry.locator), None, None, None, shard, str(Reason.ID_CHARS), message, False
    return entry.locator, entry.version_tag, entry.size, entry.modified_at, shard, None, None, False


def _shard_of(source: Source, locator: str) -> int:
    if source.shards == 1:
        return 0
    return shard_of(document_id(source.tenant, source.name, storable(locator)), source.shards)


# --------------------------------------------------------------------------------------------------------------------
# Listing changes: a run starts at the cursor where the last run ended that did not hold deletions.


def open_changes(
    connection: Connection, connector: Connector, scope: Scope, *, parser_fingerprint: str, attempts: int
) -> Changes | None:
    """A listing of changes; `None` when everything must be listed.

    Everything is listed the first time, when parser, metadata or options changed, while deletions are held, and while
    a retry of an input is due, because a listing of changes would not name it.
    """
    if not isinstance(connector, Incremental):
        return None
    tenant, source = scope.source.tenant, scope.source.name
    saved = sources.cursor(connection, tenant, source, scope.shard)
    if saved.get("parsed_as") != parser_fingerprint or sources.held_deletions(connection, tenant, source):
        return None
    if quarantine.retry_due(connection, tenant, source, scope.shard, attempts):
        return None
    return connector.list_changes(saved.get("position") or {})


def fits(connection: Connection, changes: Changes, scope: Scope) -> bool:
    """Return whether the source has as many items as are known. If not, rows were deleted without a change record."""
    rows = changes.rows
    return rows is None or deletion_store.count_known_items(connection, scope.source.tenant, scope.source.name) == rows


def save(connection: Connection, scope: Scope, parser_fingerprint: str, position: Mapping[str, Any] | None) -> None:
    """Store where the next run starts, in the transaction that ends this run."""
    if position is not None:
        value = {"parsed_as": parser_fingerprint, "position": dict(position)}
        sources.save_cursor(connection, scope.source.tenant, scope.source.name, scope.shard, value)
