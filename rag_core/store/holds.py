"""Deletions that wait for an operator, document by document, so that an approval covers what was seen and nothing else.

An approval is a moment: it releases the documents that were held before it. A document that is deleted, or that the
source names again, is not held any more; when it is missing another time, that is another observation.
The temporary table `gone` (`rag_core.store.absence`) is what a run observed.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, text

from rag_core.store import sources

_LOCK = text("SELECT FROM rag.sources WHERE tenant = :tenant AND name = :source FOR UPDATE")
# Only what is live still: another shard may have deleted its part since this one listed the source.
_UNAPPROVED = text("""
SELECT count(*) FROM gone g
JOIN rag.documents d ON d.doc_id = g.doc_id AND d.deleted_at IS NULL
WHERE NOT EXISTS (
    SELECT FROM rag.held_deletions h
    JOIN rag.sources s ON s.tenant = h.tenant AND s.name = h.source
    WHERE h.doc_id = g.doc_id AND h.held_at < s.deletions_approved_at)
""")
# Not now(): a transaction that began before an approval and waited for it must not be covered by it.
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
    """Wait for other shards and for an operator's approval; holds until the transaction ends."""
    connection.execute(_LOCK, {"tenant": tenant, "source": source})


def count_unapproved(connection: Connection) -> int:
    """How many of the documents that were observed to be gone no approval covers."""
    return connection.scalar(_UNAPPROVED) or 0


def hold(connection: Connection, tenant: str, source: str) -> None:
    """Hold what was observed to be gone. What is held already keeps its time."""
    connection.execute(_HOLD, {"tenant": tenant, "source": source})
    record_count(connection, tenant, source)


def release_returned(connection: Connection, tenant: str, source: str) -> None:
    """Hold nothing any more that a complete listing names again."""
    connection.execute(_RELEASE_RETURNED, {"tenant": tenant, "source": source})


def release(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """Hold these no longer, in the transaction that deletes them: an approval is used once."""
    connection.execute(_RELEASE, {"ids": list(doc_ids)})


def record_count(connection: Connection, tenant: str, source: str) -> None:
    """Note with the source how many deletions are held; none ends its approval. Needs `lock`."""
    count = connection.scalar(_COUNT, {"tenant": tenant, "source": source}) or 0
    sources.hold(connection, tenant, source, count)
