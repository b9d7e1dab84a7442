"""Rows that forecast, build and promotion gate read: golden questions, chunks and vectors."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

_MAX_ENTRIES = 1000

_FOUND = text("""
SELECT tenant, source || '/' || locator AS id FROM rag.documents
WHERE deleted_at IS NULL AND acl IS NOT NULL AND source || '/' || locator = ANY(:ids)
""")


def tenants_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """The tenants that have a searchable document of each name (`source/locator`)."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(_FOUND, {"ids": list(ids)}):
        found.setdefault(row.id, []).append(row.tenant)
    return found


_ENTRIES = text("""
SELECT DISTINCT entry FROM rag.documents d, unnest(d.acl) AS entry
WHERE d.tenant = :tenant AND d.deleted_at IS NULL AND NOT starts_with(entry, 'deny:') ORDER BY entry LIMIT :most
""")


def acl_entries(connection: Connection, tenant: str) -> tuple[str, ...]:
    """The ACL entries in use in a tenant."""
    return tuple(connection.scalars(_ENTRIES, {"tenant": tenant, "most": _MAX_ENTRIES}))


_DOCUMENTS = text("""
SELECT d.doc_id, d.text, d.blocks, d.locator FROM rag.documents d
JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.deleted_at IS NULL AND NOT k.rejected AND d.doc_id > :after ORDER BY d.doc_id LIMIT :page
""")


def chunked_page(connection: Connection, chunker: str, after: uuid.UUID, page: int) -> Sequence[Row[Any]]:
    """Live documents with their present chunks, by id: `doc_id`, `text`, `blocks`, `locator`."""
    return connection.execute(_DOCUMENTS, {"chunker": chunker, "after": after, "page": page}).all()


_SPANS = text("""
SELECT c.doc_id, c.start, c."end" FROM rag.chunks c
WHERE c.doc_id = ANY(:ids) AND c.chunker = :chunker ORDER BY c.doc_id, c.start
""")


def spans(connection: Connection, chunker: str, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[tuple[int, int]]]:
    """Start and end of the chunks of each document, in order."""
    found: dict[uuid.UUID, list[tuple[int, int]]] = {}
    for row in connection.execute(_SPANS, {"chunker": chunker, "ids": list(ids)}):
        found.setdefault(row.doc_id, []).append((row.start, row.end))
    return found


_REJECTED = text("""
SELECT count(*) FROM rag.chunkings k JOIN rag.documents d ON d.doc_id = k.doc_id AND d.text_version = k.text_version
WHERE k.chunker = :chunker AND k.rejected AND d.deleted_at IS NULL
""")


def rejected(connection: Connection, chunker: str) -> int:
    """Count the live documents that the chunker rejected."""
    return connection.scalar(_REJECTED, {"chunker": chunker}) or 0


_TEXTS = text("""
SELECT c.embed_text, e.vector FROM rag.chunks c
JOIN rag.documents d ON d.doc_id = c.doc_id AND d.deleted_at IS NULL
JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
WHERE c.chunker = :chunker AND (d.tenant, d.source) NOT IN (
    SELECT * FROM unnest(CAST(:tenants AS text[]), CAST(:sources AS text[])))
ORDER BY md5(c.chunk_id::text || :seed) LIMIT :sample
""")


def sampled_vectors(
    connection: Connection,
    *,
    chunker: str,
    embedder: str,
    seed: str,
    sample: int,
    without: Collection[tuple[str, str]] = (),
) -> list[tuple[str, bytes]]:
    """Texts and their stored vectors, the same ones for the same seed; `without` those of (tenant, source)."""
    params: dict[str, Any] = {"chunker": chunker, "embedder": embedder, "seed": seed, "sample": sample}
    params |= {"tenants": [tenant for tenant, _ in without], "sources": [source for _, source in without]}
    return [(row.embed_text, row.vector) for row in connection.execute(_TEXTS, params)]


def every_source(connection: Connection) -> list[tuple[str, str]]:
    """Tenant and name of every source."""
    return [(row.tenant, row.name) for row in connection.execute(text("SELECT tenant, name FROM rag.sources"))]


_SIZE = text("""
SELECT count(*) AS documents, count(p.doc_id) AS pending,
       coalesce(sum(octet_length(d.text)) FILTER (WHERE p.doc_id IS NOT NULL), 0) AS pending_bytes
FROM rag.documents d LEFT JOIN rag.pending_chunks(:chunker) p ON p.doc_id = d.doc_id
WHERE d.deleted_at IS NULL
""")


def size(connection: Connection, chunker: str) -> Row[Any]:
    """Live `documents`, how many are `pending` for a chunker, and their `pending_bytes`."""
    return connection.execute(_SIZE, {"chunker": chunker}).one()


@dataclass(slots=True)
class ChunkCounts:
    """Chunks, their distinct texts, how many of these have a vector, and the tokens of those that have none."""

    chunks: float = 0
    texts: float = 0
    cached: float = 0
    tokens: float = 0


_KNOWN = text("""
SELECT count(*) AS chunks, count(DISTINCT c.text_hash) AS texts,
       count(DISTINCT c.text_hash) FILTER (WHERE p.doc_id IS NULL) AS cached,
       coalesce(sum(p.tokens), 0) AS tokens
FROM rag.chunks c
JOIN rag.documents d ON d.doc_id = c.doc_id AND d.deleted_at IS NULL
LEFT JOIN rag.pending_embeddings(:chunker, :embedder) p ON p.doc_id = c.doc_id AND p.ordinal = c.ordinal
WHERE c.chunker = :chunker
""")


def chunk_counts(connection: Connection, chunker: str, embedder: str) -> ChunkCounts:
    """Counts of the chunks this chunker has made of live documents."""
    return ChunkCounts(*connection.execute(_KNOWN, {"chunker": chunker, "embedder": embedder}).one())


_SAMPLE = text("""
SELECT p.doc_id FROM rag.pending_chunks(:chunker) p ORDER BY md5(p.doc_id::text) LIMIT :sample
""")


def sample_unchunked(connection: Connection, chunker: str, sample: int) -> list[uuid.UUID]:
    """Some documents that are pending for a chunker, the same ones each time."""
    return list(connection.scalars(_SAMPLE, {"chunker": chunker, "sample": sample}))


_CACHED = text("SELECT count(*) FROM rag.embeddings WHERE embedder = :embedder AND text_hash = ANY(:hashes)")


def count_cached(connection: Connection, embedder: str, hashes: Collection[bytes]) -> int:
    """Count the texts that have a vector."""
    return connection.scalar(_CACHED, {"embedder": embedder, "hashes": list(hashes)}) or 0


def any_tenant(connection: Connection) -> str | None:
    """A tenant that has documents."""
    tenant: str | None = connection.scalar(text("SELECT tenant FROM rag.documents LIMIT 1"))
    return tenant
