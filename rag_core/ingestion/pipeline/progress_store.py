"""Rows of progress: what a run has listed and not read yet, and how much of each source is searchable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from rag_core.content.sources import Scope

_WRITE = text("""
INSERT INTO rag.reading_progress (tenant, source, shard, run_id, unread, outdated, bytes)
VALUES (:tenant, :source, :shard, :run_id, :unread, :outdated, :bytes)
ON CONFLICT (tenant, source, shard) DO UPDATE
SET run_id = excluded.run_id, unread = excluded.unread, outdated = excluded.outdated, bytes = excluded.bytes,
    updated_at = now()
""")
_DONE = text("""
UPDATE rag.reading_progress SET run_id = :run_id, unread = 0, outdated = 0, bytes = 0, updated_at = now()
WHERE tenant = :tenant AND source = :source AND shard = :shard AND unread + outdated > 0
""")


def write(connection: Connection, scope: Scope, *, unread: int, outdated: int, size: int) -> None:
    """Store what a shard's run has listed and not read yet, and commit."""
    counts = {"unread": unread, "outdated": outdated, "bytes": size}
    statement = _WRITE if unread + outdated else _DONE
    connection.execute(statement, _of(scope) | (counts if unread + outdated else {}))
    connection.commit()


def _of(scope: Scope) -> dict[str, object]:
    tenant, source, shard = scope.key
    return {"tenant": tenant, "source": source, "shard": shard, "run_id": scope.run_id}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Searchable share of a source, in documents.

    `documents` are stored; `searchable` of them are in the active generation in some version, `current` of those in
    their current one. `unread` items were listed and not read yet, `outdated` ones have an older document; `bytes` is
    the size of both. `hidden` documents will never be searchable as they are: their ACL is unknown, or they could not
    be chunked or embedded. `updated_at` is when the last reading began or moved on.
    """

    tenant: str
    source: str
    documents: int = 0
    searchable: int = 0
    current: int = 0
    hidden: int = 0
    unread: int = 0
    outdated: int = 0
    bytes: int = 0
    updated_at: datetime | None = None

    @property
    def share(self) -> float:
        """The searchable part of what is known of the source, from 0 to 1."""
        wanted = self.documents - self.hidden + self.unread
        return 1.0 if wanted <= 0 else min(1.0, self.searchable / wanted)

    @property
    def complete(self) -> bool:
        """True when every known document of the source is searchable in its current version."""
        return self.unread + self.outdated == 0 and self.current >= self.documents - self.hidden


_COVERAGE = """
WITH active AS (SELECT name, chunker FROM rag.generations WHERE state = 'active'),
counted AS (
    SELECT d.tenant, d.source, count(*) AS documents,
           count(*) FILTER (WHERE NOT h.hidden AND g.doc_id IS NOT NULL) AS searchable,
           count(*) FILTER (WHERE NOT h.hidden AND g.indexed_version = d.version) AS current,
           count(*) FILTER (WHERE h.hidden) AS hidden
    FROM rag.documents d
    LEFT JOIN active a ON true
    LEFT JOIN rag.generation_documents g ON g.generation = a.name AND g.doc_id = d.doc_id
    LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = a.chunker AND k.text_version = d.text_version
    CROSS JOIN LATERAL (SELECT d.acl IS NULL OR coalesce(k.rejected, false) AS hidden) AS h
    WHERE d.deleted_at IS NULL {of_documents}
    GROUP BY d.tenant, d.source
),
reading AS (
    SELECT tenant, source, sum(unread)::bigint AS unread, sum(outdated)::bigint AS outdated,
           sum(bytes)::bigint AS bytes, max(updated_at) AS updated_at
    FROM rag.reading_progress GROUP BY tenant, source
)
SELECT s.tenant, s.name AS source, coalesce(c.documents, 0) AS documents, coalesce(c.searchable, 0) AS searchable,
       coalesce(c.current, 0) AS current, coalesce(c.hidden, 0) AS hidden, coalesce(r.unread, 0) AS unread,
       coalesce(r.outdated, 0) AS outdated, coalesce(r.bytes, 0) AS bytes, r.updated_at
FROM rag.sources s
LEFT JOIN counted c ON c.tenant = s.tenant AND c.source = s.name
LEFT JOIN reading r ON r.tenant = s.tenant AND r.source = s.name
{of_sources}
ORDER BY s.tenant, s.name
"""


def coverage(connection: Connection, tenant: str | None) -> list[Coverage]:
    """The coverage of every source of a tenant, or of all tenants, by tenant and name."""
    where = {"of_documents": "AND d.tenant = :tenant", "of_sources": "WHERE s.tenant = :tenant"}
    if tenant is None:
        where = dict.fromkeys(where, "")
    rows = connection.execute(text(_COVERAGE.format(**where)), {"tenant": tenant} if tenant is not None else {})
    return [Coverage(**row._mapping) for row in rows]
