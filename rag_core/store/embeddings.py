"""Vectors by (text hash, embedder): which are missing, their texts, and storing them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from rag_core.embedding.base import Vectors
from rag_core.store.copying import copy_rows

_COLUMNS = (("text_hash", "bytea"), ("embedder", "text"), ("vector", "bytea"))


@dataclass(frozen=True, slots=True)
class Missing:
    """A text without a vector."""

    position: int
    text_hash: bytes
    embed_text: str


_PREPARE = (
    text("DROP TABLE IF EXISTS unindexed, unembedded"),
    text("CREATE TEMP TABLE unindexed (doc_id uuid PRIMARY KEY)"),
    text(
        "CREATE TEMP TABLE unembedded"
        " (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, doc_id uuid, ordinal int)"
    ),
)
_OF_GENERATION = text("""
INSERT INTO unindexed
SELECT d.doc_id FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = d.doc_id
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
  AND g.indexed_version IS DISTINCT FROM d.version
ON CONFLICT DO NOTHING
""")
_OF_BUILDING = text(_OF_GENERATION.text.replace("ON CONFLICT", "AND g.doc_id IS NOT NULL ON CONFLICT"))
_ALL = text("""
INSERT INTO unindexed SELECT doc_id FROM rag.documents
WHERE tenant = :tenant AND source = :source AND shard = :shard AND deleted_at IS NULL
""")
_MISSING = text("""
INSERT INTO unembedded (doc_id, ordinal)
SELECT doc_id, ordinal FROM (
    SELECT DISTINCT ON (c.text_hash) c.doc_id, c.ordinal
    FROM unindexed u JOIN rag.chunks c ON c.doc_id = u.doc_id AND c.chunker = :chunker
    WHERE NOT EXISTS (SELECT FROM rag.embeddings e WHERE e.text_hash = c.text_hash AND e.embedder = :embedder)
    ORDER BY c.text_hash, c.doc_id, c.ordinal
) AS first_use ORDER BY doc_id, ordinal
""")
_DISTINCT = text("""
SELECT count(DISTINCT c.text_hash), count(*) FROM unindexed u
JOIN rag.chunks c ON c.doc_id = u.doc_id AND c.chunker = :chunker
""")


@dataclass(frozen=True, slots=True)
class Need:
    """Of the documents an index still lacks: how many chunks, how many distinct texts, how many without a vector."""

    chunks: int = 0
    texts: int = 0
    missing: int = 0


def find_missing(
    connection: Connection,
    tenant: str,
    source: str,
    shard: int,
    *,
    chunker: str,
    embedder: str,
    generations: Sequence[str],
    building: Sequence[str] = (),
) -> Need:
    """Queue the texts that must be embedded: those of documents which one of the generations does not hold yet.

    Of a `building` generation only documents that it held before count; the rest is the work of its build. Without any
    generation every document of the shard is looked at.
    """
    scope = {"tenant": tenant, "source": source, "shard": shard}
    for statement in _PREPARE:
        connection.execute(statement)
    if generations or building:
        found = sum(connection.execute(_OF_GENERATION, scope | {"generation": name}).rowcount for name in generations)
        found += sum(connection.execute(_OF_BUILDING, scope | {"generation": name}).rowcount for name in building)
    else:
        found = connection.execute(_ALL, scope).rowcount
    if not found:
        connection.commit()
        return Need()
    connection.execute(text("ANALYZE unindexed"))
    missing = connection.execute(_MISSING, {"chunker": chunker, "embedder": embedder}).rowcount
    texts, chunks = connection.execute(_DISTINCT, {"chunker": chunker}).one()
    connection.commit()
    return Need(chunks, texts, missing)


_TEXTS = text("""
SELECT u.position, c.text_hash, c.embed_text
FROM (SELECT * FROM unembedded WHERE position > :after ORDER BY position LIMIT :page) u
JOIN rag.chunks c ON c.doc_id = u.doc_id AND c.chunker = :chunker AND c.ordinal = u.ordinal
ORDER BY u.position
""")
_LAST = text(
    "SELECT max(position) FROM"
    " (SELECT position FROM unembedded WHERE position > :after ORDER BY position LIMIT :page) AS page"
)


def missing(connection: Connection, chunker: str, page: int) -> Iterator[list[Missing]]:
    """The queued texts in pages of at most `page`; no transaction is open between them."""
    after = 0
    while True:
        last = connection.scalar(_LAST, {"after": after, "page": page})
        rows = [Missing(*row) for row in connection.execute(_TEXTS, {"after": after, "page": page, "chunker": chunker})]
        connection.commit()
        if last is None:
            return
        after = last
        if rows:  # chunks that were replaced meanwhile are gone from the page
            yield rows


_AMONG = text("""
SELECT DISTINCT ON (c.text_hash) 0, c.text_hash, c.embed_text
FROM rag.chunks c
WHERE c.doc_id = ANY(:ids) AND c.chunker = :chunker
  AND NOT EXISTS (SELECT FROM rag.embeddings e WHERE e.text_hash = c.text_hash AND e.embedder = :embedder)
ORDER BY c.text_hash LIMIT :limit
""")


def missing_among(
    connection: Connection, doc_ids: Sequence[uuid.UUID], *, chunker: str, embedder: str, limit: int
) -> list[Missing]:
    """Texts of a few documents that have no vector, each once, at most `limit`; leaves no transaction open."""
    params = {"ids": list(doc_ids), "chunker": chunker, "embedder": embedder, "limit": limit}
    rows = [Missing(*row) for row in connection.execute(_AMONG, params)]
    connection.commit()
    return rows


_STORE = text("""
INSERT INTO rag.embeddings (text_hash, embedder, vector)
SELECT text_hash, embedder, vector FROM incoming_embeddings ORDER BY text_hash
ON CONFLICT DO NOTHING
""")


def store(connection: Connection, embedder: str, text_hashes: Sequence[bytes], vectors: Vectors) -> None:
    """Store vectors (float32, shape [n, dimensions]) in the current transaction; known ones are kept as they are."""
    connection.execute(
        text(
            "CREATE TEMP TABLE IF NOT EXISTS incoming_embeddings (text_hash bytea, embedder text, vector bytea)"
            " ON COMMIT DELETE ROWS"
        )
    )
    rows = ((key, embedder, row.astype("<f4").tobytes()) for key, row in zip(text_hashes, vectors, strict=True))
    copy_rows(connection, "incoming_embeddings", _COLUMNS, rows)
    connection.execute(_STORE)


def decode(vector: bytes) -> Vectors:
    """The stored form as an array of shape [dimensions]."""
    return np.frombuffer(vector, dtype="<f4")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document with a text that has no usable vector."""

    doc_id: uuid.UUID
    text_version: int
    locator: str
    token: str


_USERS = text("""
SELECT DISTINCT d.doc_id, d.text_version, d.locator, d.token
FROM rag.chunks c JOIN rag.documents d ON d.doc_id = c.doc_id
WHERE c.text_hash = ANY(:hashes) AND c.chunker = :chunker
  AND d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
""")


def users(
    connection: Connection, tenant: str, source: str, shard: int, chunker: str, text_hashes: Sequence[bytes]
) -> list[Rejected]:
    """The documents of a shard that contain one of these texts."""
    params = {"hashes": list(text_hashes), "chunker": chunker, "tenant": tenant, "source": source, "shard": shard}
    return [Rejected(*row) for row in connection.execute(_USERS, params)]
