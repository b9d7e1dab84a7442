"""Find and delete chunks and vectors that no generation refers to."""

from __future__ import annotations

import uuid

from sqlalchemy import Connection, text

# Paged by the primary key, so that the next page does not scan deleted rows.
_CHUNKERS = text("""
SELECT DISTINCT chunker FROM rag.chunkings
WHERE chunker NOT IN (SELECT chunker FROM rag.generations WHERE state <> 'retired')
""")
_PAGE = text("""
SELECT k.doc_id FROM rag.chunkings k
WHERE k.doc_id > :after AND k.chunker = :chunker
  AND NOT EXISTS (SELECT FROM rag.generations g WHERE g.chunker = :chunker AND g.state <> 'retired')
ORDER BY k.doc_id LIMIT :page
""")
_CHUNKS = text("DELETE FROM rag.chunks WHERE doc_id = ANY(:ids) AND chunker = :chunker")
_CHUNKINGS = text("DELETE FROM rag.chunkings WHERE doc_id = ANY(:ids) AND chunker = :chunker")
_LAST = text("""
SELECT max(text_hash::text)::bytea FROM (
    SELECT text_hash FROM rag.embeddings WHERE text_hash > :after ORDER BY text_hash LIMIT :page) AS page
""")
_EMBEDDINGS = text("""
DELETE FROM rag.embeddings e
WHERE e.text_hash > :after AND e.text_hash <= :last
  AND (e.embedder NOT IN (SELECT embedder FROM rag.generations WHERE state <> 'retired')
       OR NOT EXISTS (SELECT FROM rag.chunks c WHERE c.text_hash = e.text_hash))
""")

_FORMER = text("""
DELETE FROM rag.former_texts f
WHERE f.text_hash > :after AND f.text_hash <= :last
  AND NOT EXISTS (SELECT FROM rag.embeddings e WHERE e.text_hash = f.text_hash)
""")


def chunkers(connection: Connection) -> list[str]:
    """Chunkers that only retired generations were built with."""
    return list(connection.scalars(_CHUNKERS))


def delete_chunks(connection: Connection, *, chunker: str, after: uuid.UUID, page: int) -> tuple[int, uuid.UUID | None]:
    """Delete the chunks of an unused chunker for one page of documents after `after`.

    Returns the number of deleted chunks and the last document of the page, `None` at the end.
    """
    ids = list(connection.scalars(_PAGE, {"chunker": chunker, "after": after, "page": page}))
    if not ids:
        return 0, None
    params = {"chunker": chunker, "ids": ids}
    deleted = connection.execute(_CHUNKS, params).rowcount
    connection.execute(_CHUNKINGS, params)
    return deleted, ids[-1]


def delete_embeddings(connection: Connection, *, after: bytes, page: int) -> tuple[int, bytes | None]:
    """Check one page of vectors after `after`; returns the number of deleted ones and the last one checked."""
    last = connection.scalar(_LAST, {"after": after, "page": page})
    if last is None:
        return 0, None
    deleted = connection.execute(_EMBEDDINGS, {"after": after, "last": last}).rowcount
    connection.execute(_FORMER, {"after": after, "last": last})
    return deleted, bytes(last)
