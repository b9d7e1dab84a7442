"""What an index generation still lacks, and the complete documents to give it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from rag_core.index.base import DocumentUpdate, Payload, Point
from rag_core.store.embeddings import decode
from rag_core.store.generations import Generation


@dataclass(frozen=True, slots=True)
class Pending:
    """A document version that a generation lacks and that is ready for it. `points` is how many it will have."""

    position: int
    doc_id: uuid.UUID
    version: int
    points: int


_CREATE = text(
    "CREATE TEMP TABLE unapplied (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc_id uuid NOT NULL,"
    " version bigint NOT NULL, points int NOT NULL)"
)
# A rejected document is applied without points: PostgreSQL holds its new text, so the old one would be a stale answer.
# What the generation lacks is found first and alone, from narrow indexes: mostly that is nothing.
_LACKING = text("""
CREATE TEMP TABLE lacking AS
SELECT d.doc_id FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = d.doc_id
WHERE g.indexed_version IS DISTINCT FROM d.version
""")
_LACKING_IN_SHARD = text(f"{_LACKING.text} AND d.tenant = :tenant AND d.source = :source AND d.shard = :shard")
_HELD_BEFORE = " AND g.doc_id IS NOT NULL"
_FIND = text("""
INSERT INTO unapplied (doc_id, version, points)
SELECT d.doc_id, d.version,
       CASE WHEN d.deleted_at IS NULL AND d.acl IS NOT NULL THEN k.chunk_count ELSE 0 END
FROM lacking l
JOIN rag.documents d ON d.doc_id = l.doc_id
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.deleted_at IS NOT NULL OR (k.doc_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM rag.chunks c
    LEFT JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
    WHERE c.doc_id = d.doc_id AND c.chunker = :chunker AND e.text_hash IS NULL))
ORDER BY d.doc_id
""")


def find_pending(
    connection: Connection, generation: Generation, shard: tuple[str, str, int] | None, *, known: bool = False
) -> int:
    """Queue the documents of a (tenant, source, shard), or of all, that the generation lacks; returns how many.

    `known` leaves out documents of which the generation never held a version.
    """
    connection.execute(text("DROP TABLE IF EXISTS unapplied, lacking"))
    params: dict[str, Any] = {"generation": generation.name}
    statement = _LACKING
    if shard is not None:
        params |= dict(zip(("tenant", "source", "shard"), shard, strict=True))
        statement = _LACKING_IN_SHARD
    found = connection.execute(text(statement.text + _HELD_BEFORE) if known else statement, params).rowcount
    if found:
        connection.execute(_CREATE)
        connection.execute(text("ANALYZE lacking"))
        fingerprints = {"chunker": generation.chunker, "embedder": generation.embedder}
        found = connection.execute(_FIND, fingerprints).rowcount
    connection.commit()
    return found


_PAGE = text(
    "SELECT position, doc_id, version, points FROM unapplied WHERE position > :after ORDER BY position LIMIT :page"
)


def pending(connection: Connection, *, documents: int, points: int) -> Iterator[list[Pending]]:
    """The queued documents in batches of at most so many documents and points; a larger document goes alone."""
    after = 0
    while True:
        rows = [Pending(*row) for row in connection.execute(_PAGE, {"after": after, "page": documents})]
        connection.commit()
        if not rows:
            return
        batch = _fitting(rows, points)
        yield batch
        after = batch[-1].position


_AMONG = text("""
SELECT 0, d.doc_id, d.version,
       CASE WHEN d.deleted_at IS NULL AND d.acl IS NOT NULL THEN k.chunk_count ELSE 0 END
FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = d.doc_id
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.doc_id = ANY(:ids) AND g.indexed_version IS DISTINCT FROM d.version
  AND (d.deleted_at IS NOT NULL OR (k.doc_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM rag.chunks c
    LEFT JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
    WHERE c.doc_id = d.doc_id AND c.chunker = :chunker AND e.text_hash IS NULL)))
ORDER BY d.doc_id
""")


def pending_among(connection: Connection, generation: Generation, doc_ids: Sequence[uuid.UUID]) -> list[Pending]:
    """Those of a few documents that the generation lacks and that are ready for it."""
    params = {
        "ids": list(doc_ids),
        "generation": generation.name,
        "chunker": generation.chunker,
        "embedder": generation.embedder,
    }
    return [Pending(*row) for row in connection.execute(_AMONG, params)]


def in_batches(rows: list[Pending], *, documents: int, points: int) -> Iterator[list[Pending]]:
    """The rows in batches as `pending` makes them."""
    while rows:
        batch = _fitting(rows[:documents], points)
        yield batch
        rows = rows[len(batch) :]


def _fitting(rows: list[Pending], points: int) -> list[Pending]:
    total = 0
    for number, row in enumerate(rows):
        total += row.points
        if total > points and number > 0:
            return rows[:number]
    return rows


_DOCUMENTS = text("""
SELECT d.doc_id, d.version, d.tenant, d.source, d.locator, d.title, d.acl, d.text, d.language, d.media_type,
       d.updated_at, d.metadata
FROM rag.documents d JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version)
     ON n.doc_id = d.doc_id AND n.version = d.version
WHERE d.deleted_at IS NULL AND d.acl IS NOT NULL
""")
_POINTS = text("""
SELECT c.doc_id, c.chunk_id, c.ordinal, c.start, c."end", c.headings, c.embed_text, e.vector
FROM rag.chunks c
JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version) ON n.doc_id = c.doc_id
JOIN rag.documents d ON d.doc_id = c.doc_id AND d.version = n.version
JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
WHERE c.chunker = :chunker ORDER BY c.doc_id, c.ordinal
""")


def load(connection: Connection, generation: Generation, batch: Sequence[Pending]) -> list[DocumentUpdate]:
    """The complete state of each document of a batch; those that moved on since they were queued are left out."""
    wanted = [row for row in batch if row.points]
    params = {"ids": [row.doc_id for row in wanted], "versions": [row.version for row in wanted]}
    documents = {row.doc_id: row for row in connection.execute(_DOCUMENTS, params)}
    fingerprints = {"embedder": generation.embedder, "chunker": generation.chunker}
    points: dict[uuid.UUID, list[Point]] = {row.doc_id: [] for row in batch}
    for row in connection.execute(_POINTS, params | fingerprints):
        if row.doc_id in documents:
            points[row.doc_id].append(_point(documents[row.doc_id], row))
    connection.commit()
    return [
        DocumentUpdate(row.doc_id, row.version, tuple(points[row.doc_id]))
        for row in batch
        if len(points[row.doc_id]) == row.points
    ]


def _point(document: Any, chunk: Any) -> Point:
    payload = Payload(
        tenant=document.tenant,
        source=document.source,
        doc_id=document.doc_id,
        version=document.version,
        locator=document.locator,
        title=document.title,
        acl=tuple(document.acl),
        ordinal=chunk.ordinal,
        start=chunk.start,
        end=chunk.end,
        text=document.text[chunk.start : chunk.end],
        headings=tuple(chunk.headings),
        language=document.language,
        media_type=document.media_type,
        updated_at=document.updated_at,
        metadata=document.metadata,
    )
    return Point(chunk.chunk_id, decode(chunk.vector), payload, chunk.embed_text)
