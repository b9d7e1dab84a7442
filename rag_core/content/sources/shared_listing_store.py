"""Shared listings: the runs of all shards of a source share one listing of it.

A row of `rag.listings` is written before a listing begins, and its items when it is complete: only complete listings
are shared. A shard uses a listing once, and none does after a run that listed the source again: documents stored from
the newer listing would seem to be missing. A run that writes or reads a listing holds its lock (`locks.use_listing`),
so an incomplete listing without a lock belongs to a run that died.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from rag_core.content.sources import listing_store as listing
from rag_core.content.sources.base import Source
from rag_core.database import locks

WINDOW = timedelta(minutes=30)
"""Time after its end in which a listing may be used."""
PATIENCE = timedelta(hours=2)
"""Longest wait of a run for another one that lists. By then a lost connection of the other has been detected."""
CLOCKS = timedelta(seconds=1)
"""Allowed lag of the clock that dates requests behind the database's clock."""


@dataclass(frozen=True, slots=True)
class SharedListing:
    """A shared listing without its items; see `rag_core.content.sources.base.Listing`."""

    version_tag: str | None
    cursor: Mapping[str, Any] | None


_BEGIN = text("""
INSERT INTO rag.listings (tenant, source, options, shards, taken, started_at)
VALUES (:tenant, :source, :options, :shards, ARRAY[CAST(:shard AS smallint)], clock_timestamp()) RETURNING id
""")


def begin(connection: Connection, source: Source, shard: int) -> int:
    """Record a listing that begins now, and commit; returns its id. Needs `locks.listing_turn`."""
    drop_unneeded(connection, source.tenant, source.name)
    params = {"options": source.options, "shards": source.shards, "shard": shard}
    number = int(connection.execute(_BEGIN, _of(source) | params).scalar_one())
    locks.use_listing(connection, number)
    connection.commit()
    return number


_ITEMS = text("""
INSERT INTO rag.listed_items (listing, shard, locator, token, size, modified_at, reason, message, skipped)
SELECT :id, shard, locator, token, size, modified_at, reason, message, skipped FROM listing
""")
_COMPLETE = text("""
UPDATE rag.listings SET completed_at = clock_timestamp(), change_token = :token, cursor = CAST(:cursor AS jsonb)
WHERE id = :id
""")


def complete(connection: Connection, number: int, shared: SharedListing) -> None:
    """Share the complete listing in the temporary table with other runs, and commit."""
    connection.execute(_ITEMS, {"id": number})
    cursor = json.dumps(dict(shared.cursor)) if shared.cursor is not None else None
    connection.execute(_COMPLETE, {"id": number, "token": shared.version_tag, "cursor": cursor})
    connection.commit()


def discard(connection: Connection, number: int) -> None:
    """Delete an incomplete listing, and commit."""
    connection.execute(text("DELETE FROM rag.listings WHERE id = :id"), {"id": number})
    connection.commit()


_NEWEST = text("""
SELECT id FROM rag.listings WHERE tenant = :tenant AND source = :source ORDER BY id DESC LIMIT 1
""")
_USABLE = text("""
SELECT change_token, cursor FROM rag.listings
WHERE id = :id AND options = :options AND shards = :shards AND NOT :shard = ANY(taken)
  AND started_at > :after AND completed_at > clock_timestamp() - CAST(:window AS interval)
""")
_TAKE = text("UPDATE rag.listings SET taken = taken || CAST(:shard AS smallint) WHERE id = :id")
_CLOSE = text("""
UPDATE rag.listings SET taken = ARRAY(SELECT CAST(n AS smallint) FROM generate_series(0, shards - 1) n)
WHERE tenant = :tenant AND source = :source AND cardinality(taken) < shards
""")
_PART = text("""
INSERT INTO listing (locator, token, size, modified_at, shard, reason, message, skipped)
SELECT locator, token, size, modified_at, shard, reason, message, skipped
FROM rag.listed_items WHERE listing = :id AND shard = :shard
""")


def take(connection: Connection, source: Source, shard: int, requested_at: datetime) -> SharedListing | None:
    """Fill the temporary table with the shard's entries of a listing that began after the request, and commit.

    Returns `None` when there is no usable one; the run then lists the source. Needs `locks.listing_turn`.
    """
    number = connection.scalar(_NEWEST, _of(source))
    found = _usable(connection, source, shard, requested_at, number) if number is not None else None
    if found is None:
        close(connection, source)
    else:
        connection.execute(_TAKE, {"id": number, "shard": shard})
        connection.execute(_PART, {"id": number, "shard": shard})
        listing.analyze(connection)
        # A view cannot have parameters.
        items = f"SELECT locator FROM rag.listed_items WHERE listing = {int(number)}"  # noqa: S608
        connection.execute(text(f"CREATE OR REPLACE TEMP VIEW listed AS {items}"))
    connection.commit()
    return found


def _usable(
    connection: Connection, source: Source, shard: int, requested_at: datetime, number: int
) -> SharedListing | None:
    if not locks.use_listing(connection, number):
        return None
    params = {
        "id": number,
        "options": source.options,
        "shards": source.shards,
        "shard": shard,
        "after": requested_at + CLOCKS,
        "window": WINDOW,
    }
    row = connection.execute(_USABLE, params).one_or_none()
    return SharedListing(*row) if row is not None else None


def close(connection: Connection, source: Source) -> None:
    """Close finished and running listings to other runs, because a run lists the source again."""
    connection.execute(_CLOSE, _of(source))


_UNNEEDED = text("""
SELECT l.id FROM rag.listings l
WHERE (CAST(:tenant AS text) IS NULL OR (l.tenant = :tenant AND l.source = :source))
  AND (cardinality(l.taken) >= l.shards OR l.completed_at IS NULL
       OR l.completed_at < clock_timestamp() - CAST(:window AS interval)
       OR EXISTS (SELECT FROM rag.listings n WHERE n.tenant = l.tenant AND n.source = l.source AND n.id > l.id))
""")


def drop_unneeded(connection: Connection, tenant: str | None = None, source: str | None = None) -> int:
    """Drop unneeded listings of one source or all, except those in use. Commits; returns their number."""
    found = connection.scalars(_UNNEEDED, {"tenant": tenant, "source": source, "window": WINDOW}).all()
    connection.commit()
    dropped = 0
    for number in found:
        with locks.unused_listing(connection, number) as unused:
            if unused:
                connection.execute(text("DELETE FROM rag.listed_items WHERE listing = :id"), {"id": number})
                discard(connection, number)
                dropped += 1
    return dropped


def _of(source: Source) -> dict[str, Any]:
    return {"tenant": source.tenant, "source": source.name}
