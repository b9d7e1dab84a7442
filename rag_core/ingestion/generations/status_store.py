"""Documents and chunks by source, and what is pending: for the status of sources and the checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, text

from rag_core.content.sources import Source
from rag_core.content.sources import store as sources
from rag_core.ingestion.generations.store import Generation


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """One source: live documents, their chunks in the active generation's chunking, and what is still owed.

    `searchable`, `current` and `hidden` are those of `rag_core.ingestion.pipeline.Coverage`.
    """

    name: str
    kind: str
    documents: int = 0
    chunks: int = 0
    pending: int = 0
    quarantined: int = 0
    held_deletions: int = 0
    last_complete_at: datetime | None = None
    tenant: str = ""
    searchable: int = 0
    current: int = 0
    hidden: int = 0


_SOURCES = """
WITH active AS (SELECT name, chunker FROM rag.generations WHERE state = 'active'),
counted AS (
    SELECT d.tenant, d.source,
           count(*) FILTER (WHERE h.live) AS documents,
           coalesce(sum(k.chunk_count) FILTER (WHERE h.live), 0) AS chunks,
           count(*) FILTER (WHERE h.live AND NOT h.hidden AND g.doc_id IS NOT NULL) AS searchable,
           count(*) FILTER (WHERE h.live AND NOT h.hidden AND g.indexed_version = d.version) AS current,
           count(*) FILTER (WHERE h.live AND h.hidden) AS hidden
    FROM rag.documents d
    LEFT JOIN active a ON true
    LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = a.chunker
    LEFT JOIN rag.generation_documents g ON g.generation = a.name AND g.doc_id = d.doc_id
    CROSS JOIN LATERAL (
        SELECT d.deleted_at IS NULL AS live,
               d.acl IS NULL OR coalesce(k.rejected AND k.text_version = d.text_version, false) AS hidden) AS h
    {of_documents}
    GROUP BY d.tenant, d.source
),
-- Counted apart: joined to each document it took seconds once some thousand documents were pending. All are pending
-- while no generation is active: then the name is NULL.
waiting AS (
    SELECT p.tenant, p.source, count(*) AS pending
    FROM (SELECT max(name) AS name FROM active) a
    CROSS JOIN LATERAL rag.pending_index(a.name) p
    {of_pending}
    GROUP BY p.tenant, p.source
),
refused AS (
    SELECT q.tenant, q.source, count(*) FILTER (WHERE NOT q.skipped) AS quarantined
    FROM rag.quarantine q
    {of_refused}
    GROUP BY q.tenant, q.source
)
SELECT s.name, s.kind, coalesce(c.documents, 0), coalesce(c.chunks, 0), coalesce(w.pending, 0),
       coalesce(r.quarantined, 0), s.held_deletions, s.last_complete_at, s.tenant,
       coalesce(c.searchable, 0), coalesce(c.current, 0), coalesce(c.hidden, 0)
FROM rag.sources s
LEFT JOIN counted c ON c.tenant = s.tenant AND c.source = s.name
LEFT JOIN waiting w ON w.tenant = s.tenant AND w.source = s.name
LEFT JOIN refused r ON r.tenant = s.tenant AND r.source = s.name
{of_sources}
ORDER BY s.tenant, s.name
"""


def source_counts(connection: Connection, tenant: str | None) -> tuple[SourceCounts, ...]:
    """The sources of one tenant, or of all, by tenant and name.

    All of them are counted in one pass over the documents; one by one, each tenant would cost a pass.
    """
    aliases = {"of_documents": "d", "of_pending": "p", "of_refused": "q", "of_sources": "s"}
    where = {name: f"WHERE {alias}.tenant = :tenant" if tenant is not None else "" for name, alias in aliases.items()}
    rows = connection.execute(text(_SOURCES.format(**where)), {"tenant": tenant} if tenant is not None else {})
    return tuple(SourceCounts(*row) for row in rows)


# A document is behind from its commit until the active generation holds its version. One that can never be indexed
# (no known ACL, or text that could not be chunked) is not waited for.
_OLDEST = text("""
SELECT d.tenant, min(d.updated_at) AS since
FROM rag.generations a
CROSS JOIN LATERAL rag.pending_index(a.name) p
JOIN rag.documents d ON d.doc_id = p.doc_id
WHERE a.state = 'active' AND p.required AND (p.indexed_version IS NOT NULL OR d.acl IS NOT NULL)
  AND NOT EXISTS (SELECT FROM rag.chunkings k WHERE k.doc_id = d.doc_id AND k.chunker = a.chunker AND k.rejected)
GROUP BY d.tenant
""")


def oldest_pending(connection: Connection) -> tuple[datetime, dict[str, datetime]]:
    """The database's clock, and when the oldest pending change of each tenant that has one was made."""
    now = connection.execute(select(func.now())).scalar_one()
    return now, {row.tenant: row.since for row in connection.execute(_OLDEST)}


_EXPECTED = text("""
SELECT coalesce(sum(CASE WHEN d.deleted_at IS NULL AND d.acl IS NOT NULL THEN k.chunk_count ELSE 0 END), 0) AS points,
       count(p.doc_id) AS pending
FROM rag.documents d
LEFT JOIN rag.pending_index(:generation) p ON p.doc_id = d.doc_id
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker
WHERE d.tenant = :tenant AND d.source = :source
""")


def expected_of_source(connection: Connection, generation: Generation, tenant: str, source: str) -> tuple[int, int]:
    """Points that a generation should hold of a source when nothing is pending, and how many documents are pending."""
    params = {"generation": generation.name, "chunker": generation.chunker, "tenant": tenant, "source": source}
    row = connection.execute(_EXPECTED, params).one()
    return int(row.points), row.pending


_PENDING_OF_KINDS = text("""
SELECT s.tenant, s.name, s.kind, s.acl, count(*) AS documents
FROM rag.pending_index(:generation) p
JOIN rag.sources s ON s.tenant = p.tenant AND s.name = p.source AND s.kind = ANY(:kinds)
WHERE p.indexed_version IS NOT NULL OR NOT :building
GROUP BY s.tenant, s.name
""")


def pending_of_kinds(
    connection: Connection, generation: Generation, kinds: Sequence[str]
) -> Iterator[tuple[Source, int]]:
    """Sources of these kinds with documents pending for a generation (not those a build has to bring), and how many."""
    params = {"generation": generation.name, "building": generation.state == "building", "kinds": list(kinds)}
    for row in connection.execute(_PENDING_OF_KINDS, params):
        yield Source(row.name, row.tenant, row.kind, sources.acl_of(row)), row.documents
