"""Deletion detection: find documents that are missing from a listing, and hold or release their deletions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from rag_core.content.sources import store as sources

_COUNT_KNOWN_ITEMS = text("""
SELECT count(*) FROM (
    SELECT d.locator FROM rag.documents d
    WHERE d.tenant = :tenant AND d.source = :source AND d.deleted_at IS NULL
    UNION SELECT q.locator FROM rag.quarantine q WHERE q.tenant = :tenant AND q.source = :source AND q.stage <> 'list'
    UNION SELECT l.locator FROM listing l
) AS known WHERE NOT EXISTS (SELECT FROM removed r WHERE r.locator = known.locator)
""")


def count_known_items(connection: Connection, tenant: str, source: str) -> int:
    """Count the items known after this listing of changes: stored, quarantined or new, without deleted ones."""
    return connection.scalar(_COUNT_KNOWN_ITEMS, {"tenant": tenant, "source": source}) or 0


_DELETED = text("""
INSERT INTO gone (locator, doc_id, shard)
SELECT d.locator, d.doc_id, d.shard FROM rag.documents d
WHERE d.tenant = :tenant AND d.source = :source AND d.deleted_at IS NULL
  AND NOT EXISTS (SELECT FROM listed l WHERE l.locator = d.locator)
""")


def find_deleted(connection: Connection, tenant: str, source: str) -> int:
    """Queue the documents of the whole source that the listing does not name; returns their number.

    Commit soon after: it changes planner settings for the rest of the transaction.
    """
    # Without statistics of a shared listing PostgreSQL would read it once per document.
    connection.execute(text("SET LOCAL enable_nestloop = off"))
    return connection.execute(_DELETED, {"tenant": tenant, "source": source}).rowcount


_REMOVED = text("""
INSERT INTO gone (locator, doc_id, shard)
SELECT d.locator, d.doc_id, d.shard FROM rag.documents d
WHERE d.tenant = :tenant AND d.source = :source AND d.deleted_at IS NULL
  AND d.locator IN (SELECT r.locator FROM removed r)
""")


def find_removed(connection: Connection, tenant: str, source: str) -> int:
    """Queue the documents that the source reports as deleted; returns their number in the whole source."""
    return connection.execute(_REMOVED, {"tenant": tenant, "source": source}).rowcount


def deleted_ids(connection: Connection, shard: int, page: int) -> Iterator[list[uuid.UUID]]:
    """Ids of the queued documents of one shard, in pages."""
    statement = text(
        "SELECT locator, doc_id FROM gone WHERE shard = :shard AND locator > :after ORDER BY locator LIMIT :page"
    )
    after = ""
    while True:
        rows = connection.execute(statement, {"shard": shard, "after": after, "page": page}).all()
        connection.commit()
        if not rows:
            return
        yield [row.doc_id for row in rows]
        after = rows[-1].locator


_MISSING_FROM_LISTING = text("""
SELECT count(*) FILTER (WHERE d.run_id = :run_id AND q.id IS NULL),
       count(*) FILTER (WHERE d.run_id <> :run_id OR q.id IS NOT NULL)
FROM rag.documents d
LEFT JOIN rag.quarantine q ON q.tenant = :tenant AND q.source = :source AND q.locator = d.locator
     AND q.stage IN ('list', 'fetch', 'parse')
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
  AND NOT EXISTS (SELECT FROM listing l WHERE l.locator = d.locator)
""")


def missing_from_listing(connection: Connection, tenant: str, source: str, shard: int, run_id: str) -> tuple[int, int]:
    """Count live documents of the shard that the listing does not name: (written by this run, other ones)."""
    params = {"tenant": tenant, "source": source, "shard": shard, "run_id": run_id}
    mine, others = connection.execute(_MISSING_FROM_LISTING, params).one()
    return mine, others


# --------------------------------------------------------------------------------------------------------------------
# Held deletions, one row per document, so that an approval covers only the documents that the operator saw.


_LOCK = text("SELECT FROM rag.sources WHERE tenant = :tenant AND name = :source FOR UPDATE")
# Only live documents: another shard may have deleted its own since this one listed the source.
_UNAPPROVED = text("""
SELECT count(*) FROM gone g
JOIN rag.documents d ON d.doc_id = g.doc_id AND d.deleted_at IS NULL
WHERE NOT EXISTS (
    SELECT FROM rag.held_deletions h
    JOIN rag.sources s ON s.tenant = h.tenant AND s.name = h.source
    WHERE h.doc_id = g.doc_id AND h.held_at < s.deletions_approved_at)
""")
# clock_timestamp(), not now(): an approval must not cover a transaction that began earlier and waited for it.
_HOLD = text("""
INSERT INTO rag.held_deletions (doc_id, tenant, source, held_at)
SELECT d.doc_id, :tenant, :source, clock_timestamp() FROM gone g
JOIN rag.documents d ON d.doc_id = g.doc_id AND d.deleted_at IS NULL
ORDER BY d.doc_id ON CONFLICT (doc_id) DO NOTHING
""")
_RELEASE_RETURNED = text("""
DELETE FROM rag.held_deletions h
WHERE h.tenant = :tenant AND h.source = :source AND NOT EXISTS (SELECT FROM gone g WHERE g.doc_id = h.doc_id)
""")
_RELEASE = text("DELETE FROM rag.held_deletions WHERE doc_id = ANY(:ids)")
_COUNT = text("SELECT count(*) FROM rag.held_deletions WHERE tenant = :tenant AND source = :source")


def lock(connection: Connection, tenant: str, source: str) -> None:
    """Lock the source's deletions against other shards and approvals until the transaction ends."""
    connection.execute(_LOCK, {"tenant": tenant, "source": source})


def count_unapproved(connection: Connection) -> int:
    """Count the queued documents whose deletion is not approved."""
    return connection.scalar(_UNAPPROVED) or 0


def hold(connection: Connection, tenant: str, source: str) -> None:
    """Hold the deletions of the queued documents. Those already held keep their time."""
    connection.execute(_HOLD, {"tenant": tenant, "source": source})
    record_count(connection, tenant, source)


def release_returned(connection: Connection, tenant: str, source: str) -> None:
    """Release the held deletions of documents that a complete listing names again."""
    connection.execute(_RELEASE_RETURNED, {"tenant": tenant, "source": source})


def release(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """Release deletions in the transaction that deletes the documents: an approval is used once."""
    connection.execute(_RELEASE, {"ids": list(doc_ids)})


def record_count(connection: Connection, tenant: str, source: str) -> None:
    """Store the number of held deletions with the source; 0 ends its approval. Needs `lock`."""
    count = connection.scalar(_COUNT, {"tenant": tenant, "source": source}) or 0
    sources.hold(connection, tenant, source, count)


_HELD = text("""
SELECT d.locator, h.held_at FROM rag.held_deletions h JOIN rag.documents d USING (doc_id)
WHERE h.tenant = :tenant AND h.source = :source ORDER BY d.locator LIMIT :limit
""")


def held_sample(connection: Connection, tenant: str, source: str, limit: int) -> list[tuple[str, datetime]]:
    """Locators whose deletion is held, in their order, and since when."""
    found = connection.execute(_HELD, {"tenant": tenant, "source": source, "limit": limit})
    return [(row.locator, row.held_at) for row in found]
