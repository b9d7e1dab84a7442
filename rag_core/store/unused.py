"""Finding and deleting rows that nothing refers to."""

from __future__ import annotations

from sqlalchemy import Connection, text

_CHUNKS = text(
    "DELETE FROM rag.chunks WHERE chunker NOT IN (SELECT chunker FROM rag.generations WHERE state <> 'retired')"
)
_CHUNKINGS = text(
    "DELETE FROM rag.chunkings WHERE chunker NOT IN (SELECT chunker FROM rag.generations WHERE state <> 'retired')"
)
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


def delete_chunks(connection: Connection) -> int:
    """Delete the chunks of chunkers that no generation but retired ones was built with; returns how many."""
    deleted = connection.execute(_CHUNKS).rowcount
    connection.execute(_CHUNKINGS)
    return deleted


def delete_embeddings(connection: Connection, after: bytes, page: int) -> tuple[int, bytes | None]:
    """Look at a page of embeddings behind `after`; returns how many were deleted and the last one looked at."""
    last = connection.scalar(_LAST, {"after": after, "page": page})
    if last is None:
        return 0, None
    deleted = connection.execute(_EMBEDDINGS, {"after": after, "last": last}).rowcount
    connection.execute(_FORMER, {"after": after, "last": last})
    return deleted, bytes(last)
