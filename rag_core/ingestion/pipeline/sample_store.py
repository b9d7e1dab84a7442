"""Rows of a run for checks to read, page by page: the documents it has written, and what is pending for an index.

Of the whole shard, or of given documents (a round).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from rag_core.content.sources import Scope
from rag_core.database import Store

PAGE = 2000
MAX_ROWS = 20_000
"""Rows a check reads; the pipeline itself has checked all of them."""
Pages = Iterator[list[tuple[Any, ...]]]

_DOCUMENTS = """
SELECT locator, version, length(btrim(text, E' \\t\\r\\n')) AS chars,
       (length(text) - length(replace(text, U&'\\FFFD', '')))::float8 / greatest(length(text), 1) AS replaced_share,
       length(content_hash) AS hash_bytes, media_type,
       CASE WHEN acl IS NULL THEN 0 ELSE coalesce(nullif(cardinality(acl), 0), -1) END AS acl_entries
FROM rag.documents d
WHERE tenant = :tenant AND source = :source AND shard = :shard AND run_id = :run_id AND deleted_at IS NULL
  AND {within} LIMIT :rows
"""
# What an index generation with these fingerprints would be given next; of a generation that is not there: everything.
# OFFSET keeps the subquery one of each document, by its key. As a join it is all documents of all sources for each
# document of a source that the statistics do not know yet: a minute for a round of a new source beside 60,000.
_PENDING = """
FROM rag.documents d JOIN rag.chunks c ON c.doc_id = d.doc_id AND c.chunker = :chunker
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL AND {within}
  AND EXISTS (SELECT FROM unnest(CAST(:generations AS text[])) AS n (name)
              CROSS JOIN LATERAL rag.pending_index(n.name) p WHERE p.doc_id = d.doc_id OFFSET 0)
"""
_CHUNKS = f"""
SELECT d.locator, c.ordinal, c.start, c."end", length(d.text) AS text_chars, c.tokens,
       length(c.embed_text) AS embed_chars, length(c.text_hash) AS hash_bytes {_PENDING} LIMIT :rows
"""
_VECTORS = f"""
SELECT p.locator, p.ordinal, e.vector FROM (SELECT d.locator, c.ordinal, c.text_hash {_PENDING} LIMIT :rows) AS p
JOIN rag.embeddings e ON e.text_hash = p.text_hash AND e.embedder = :embedder
"""  # noqa: S608
Within = Sequence[uuid.UUID] | None
"""The documents to look at; `None` for the whole shard."""


def documents(store: Store, scope: Scope, within: Within = None) -> Pages:
    """Documents the run has written."""
    return _pages(store, _DOCUMENTS, {**_shard(scope), "run_id": scope.run_id}, within)


def chunks(store: Store, scope: Scope, chunker: str, generations: Sequence[str], within: Within = None) -> Pages:
    """Chunks of the documents that are pending for one of the generations."""
    params = {**_shard(scope), "chunker": chunker, "generations": list(generations)}
    return _pages(store, _CHUNKS, params, within)


def vectors(
    store: Store, scope: Scope, chunker: str, embedder: str, generations: Sequence[str], within: Within = None
) -> Pages:
    """Vectors of the same chunks: locator, ordinal, and the vector's bytes."""
    params = {**_shard(scope), "chunker": chunker, "embedder": embedder, "generations": list(generations)}
    return _pages(store, _VECTORS, params, within)


def _pages(store: Store, statement: str, parameters: dict[str, Any], within: Within) -> Pages:
    options = {"stream_results": True, "yield_per": PAGE}
    limited, ids = ("true", {}) if within is None else ("d.doc_id = ANY(:within)", {"within": list(within)})
    with store.engine.connect().execution_options(**options) as connection:
        found = connection.execute(
            text(statement.replace("{within}", limited)), {**parameters, **ids, "rows": MAX_ROWS}
        )
        for page in found.partitions():
            yield [tuple(row) for row in page]


def _shard(scope: Scope) -> dict[str, Any]:
    return {"tenant": scope.source.tenant, "source": scope.source.name, "shard": scope.shard}


# --------------------------------------------------------------------------------------------------------------------
# Totals of a shard, and what its run refused.


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Live documents of a shard, their chunks, and the points that an index with this chunker should hold of them."""

    documents: int
    chunks: int
    index: int


_ROW_COUNTS = text("""
SELECT count(*) AS documents, coalesce(sum(k.chunk_count), 0)::bigint AS chunks,
       coalesce(sum(k.chunk_count) FILTER (WHERE d.acl IS NOT NULL), 0)::bigint AS points
FROM rag.documents d
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
""")
_QUARANTINED = text("""
SELECT locator, stage, reason, attempts FROM rag.quarantine
WHERE tenant = :tenant AND source = :source AND shard = :shard AND run_id = :run_id AND NOT skipped
ORDER BY reason, locator LIMIT :limit
""")


def row_counts(store: Store, scope: Scope, chunker: str) -> RowCounts:
    """Count the rows of a shard, after a run."""
    with store.engine.connect() as connection:
        row = connection.execute(_ROW_COUNTS, {**_shard(scope), "chunker": chunker}).one()
    return RowCounts(row.documents, row.chunks, row.points)


def quarantined(store: Store, scope: Scope, limit: int) -> list[dict[str, str | int]]:
    """Inputs that the run quarantined, by reason."""
    with store.engine.connect() as connection:
        rows = connection.execute(_QUARANTINED, {**_shard(scope), "run_id": scope.run_id, "limit": limit})
        return [dict(row) for row in rows.mappings()]
