"""Rows of vectors by (text hash, embedder): find texts without a vector, and store vectors."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from rag_core.content.embedding.base import Vectors
from rag_core.database import FEW_ROWS, copy_rows

_COLUMNS = (("text_hash", "bytea"), ("embedder", "text"), ("vector", "bytea"))


@dataclass(frozen=True, slots=True)
class PendingText:
    """A text without a vector."""

    text_hash: bytes
    embed_text: str


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Counts over some documents: chunks, distinct texts, and texts without a vector."""

    chunks: int = 0
    texts: int = 0
    pending: int = 0


_TEXTS = """
SELECT count(*), count(DISTINCT c.text_hash) FROM {relation}
JOIN rag.chunks c ON c.doc_id = selected.doc_id AND c.chunker = :chunker
"""
_PENDING = """
SELECT count(DISTINCT p.text_hash) FROM {relation}
JOIN rag.pending_embeddings(:chunker, :embedder) p ON p.doc_id = selected.doc_id
"""


def count(
    connection: Connection, selected: tuple[str, Mapping[str, Any]], *, chunker: str, embedder: str
) -> TextCounts:
    """Count the texts of the documents in a relation named `selected`, given with its parameters."""
    relation, params = selected
    keys = {**params, "chunker": chunker, "embedder": embedder}
    chunks, texts = connection.execute(text(_TEXTS.format(relation=relation)), keys).one()
    pending = connection.scalar(text(_PENDING.format(relation=relation)), keys) if texts else 0
    connection.commit()
    return TextCounts(chunks, texts, pending or 0)


_PENDING_TEXTS = text("""
SELECT text_hash, embed_text FROM (
    SELECT DISTINCT ON (p.text_hash) p.text_hash, p.embed_text, p.doc_id, p.ordinal
    FROM rag.pending_embeddings(:chunker, :embedder) p WHERE p.doc_id = ANY(:ids)
    ORDER BY p.text_hash, p.doc_id, p.ordinal
) AS first_use ORDER BY doc_id, ordinal
""")


def pending_texts(
    connection: Connection, doc_ids: Sequence[uuid.UUID], *, chunker: str, embedder: str
) -> list[PendingText]:
    """Distinct texts of a few documents that have no vector; leaves no transaction open."""
    params = {"ids": list(doc_ids), "chunker": chunker, "embedder": embedder}
    rows = [PendingText(*row) for row in connection.execute(_PENDING_TEXTS, params)]
    connection.commit()
    return rows


_STORE = text("""
INSERT INTO rag.embeddings (text_hash, embedder, vector)
SELECT text_hash, embedder, vector FROM incoming_embeddings ORDER BY text_hash
ON CONFLICT DO NOTHING
""")
_STORE_ONE = text("""
INSERT INTO rag.embeddings (text_hash, embedder, vector) VALUES (:text_hash, :embedder, :vector) ON CONFLICT DO NOTHING
""")


def store(connection: Connection, embedder: str, text_hashes: Sequence[bytes], vectors: Vectors) -> None:
    """Store vectors (float32, shape [n, dimensions]) in the current transaction; existing ones stay unchanged."""
    rows = ((key, embedder, row.astype("<f4").tobytes()) for key, row in zip(text_hashes, vectors, strict=True))
    if len(text_hashes) <= FEW_ROWS:
        for key, _, vector in sorted(rows):
            connection.execute(_STORE_ONE, {"text_hash": key, "embedder": embedder, "vector": vector})
        return
    connection.execute(
        text(
            "CREATE TEMP TABLE IF NOT EXISTS incoming_embeddings (text_hash bytea, embedder text, vector bytea)"
            " ON COMMIT DELETE ROWS"
        )
    )
    copy_rows(connection, "incoming_embeddings", _COLUMNS, rows)
    connection.execute(_STORE)


def decode(vector: bytes) -> Vectors:
    """Decode a stored vector to an array of shape [dimensions]."""
    return np.frombuffer(vector, dtype="<f4")


@dataclass(frozen=True, slots=True)
class RejectedDocument:
    """A document with a text without a usable vector."""

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
) -> list[RejectedDocument]:
    """The documents of a shard that contain one of these texts."""
    params = {"hashes": list(text_hashes), "chunker": chunker, "tenant": tenant, "source": source, "shard": shard}
    return [RejectedDocument(*row) for row in connection.execute(_USERS, params)]
