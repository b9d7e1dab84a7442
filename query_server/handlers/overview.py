"""The numbers of the overview, read from PostgreSQL in two statements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, text

from query_server.handlers.platform_status import GenerationRow, SourceCounts
from rag_core.store.tables import generations

# A tombstone is pending only for a generation that still holds the document.
_SOURCES = text("""
WITH active AS (SELECT name, chunker FROM rag.generations WHERE state = 'active'),
counted AS (
    SELECT d.source,
           count(*) FILTER (WHERE d.deleted_at IS NULL) AS documents,
           coalesce(sum(k.chunk_count) FILTER (WHERE d.deleted_at IS NULL), 0) AS chunks,
           count(*) FILTER (WHERE g.indexed_version IS DISTINCT FROM d.version) AS pending
    FROM rag.documents d
    LEFT JOIN active a ON true
    LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = a.chunker
    LEFT JOIN rag.generation_documents g ON g.generation = a.name AND g.doc_id = d.doc_id
    WHERE d.tenant = :tenant
    GROUP BY d.source
),
refused AS (
    SELECT source, count(*) AS quarantined FROM rag.quarantine WHERE tenant = :tenant AND NOT skipped GROUP BY source
)
SELECT s.name, s.kind, coalesce(c.documents, 0), coalesce(c.chunks, 0), coalesce(c.pending, 0),
       coalesce(r.quarantined, 0), s.held_deletions, s.last_complete_at
FROM rag.sources s
LEFT JOIN counted c ON c.source = s.name
LEFT JOIN refused r ON r.source = s.name
WHERE s.tenant = :tenant
ORDER BY s.name
""")


# A document is behind from its commit until the active generation holds its version. One that can never be indexed
# (no known ACL, or text that could not be chunked) is not waited for.
_UNINDEXED = text("""
SELECT d.tenant, min(d.updated_at) AS since
FROM rag.documents d
JOIN rag.generations a ON a.state = 'active'
LEFT JOIN rag.generation_documents g ON g.generation = a.name AND g.doc_id = d.doc_id
WHERE g.indexed_version IS DISTINCT FROM d.version
  AND (g.doc_id IS NOT NULL OR (d.deleted_at IS NULL AND d.acl IS NOT NULL))
  AND NOT EXISTS (SELECT FROM rag.chunkings k WHERE k.doc_id = d.doc_id AND k.chunker = a.chunker AND k.rejected)
GROUP BY d.tenant
""")


def oldest_unindexed(connection: Connection) -> tuple[datetime, dict[str, datetime]]:
    """The database's clock, and for each tenant that is behind when its oldest change not yet indexed was made."""
    now = connection.execute(select(func.now())).scalar_one()
    return now, {row.tenant: row.since for row in connection.execute(_UNINDEXED)}


def source_counts(connection: Connection, tenant: str) -> tuple[SourceCounts, ...]:
    """The sources of one tenant, by name."""
    return tuple(SourceCounts(*row) for row in connection.execute(_SOURCES, {"tenant": tenant}))


def generation_rows(connection: Connection) -> dict[str, GenerationRow]:
    """State and age of every generation, by name."""
    statement = select(generations.c.name, generations.c.state, generations.c.created_at)
    return {name: GenerationRow(state, created_at) for name, state, created_at in connection.execute(statement)}
