"""Load complete documents, with chunks and vectors, for an index generation."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from rag_core.content.embedding import decode
from rag_core.content.parsing import from_rows, links_within
from rag_core.ingestion.generations import Generation
from rag_core.retrieval.index import DocumentUpdate, IndexPoint, Payload

_DOCUMENTS = text("""
SELECT d.doc_id, d.version, d.tenant, d.source, d.locator, d.title, d.acl, d.text, d.language, d.media_type,
       d.updated_at, d.metadata, d.links
FROM rag.documents d JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version)
     ON n.doc_id = d.doc_id AND n.version = d.version
WHERE d.deleted_at IS NULL AND d.acl IS NOT NULL
""")
_POINTS = text("""
SELECT c.doc_id, c.chunk_id, c.ordinal, c.start, c."end", c.headings, c.blocks, c.embed_text, e.vector
FROM rag.chunks c
JOIN unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version) ON n.doc_id = c.doc_id
JOIN rag.documents d ON d.doc_id = c.doc_id AND d.version = n.version
JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
WHERE c.chunker = :chunker ORDER BY c.doc_id, c.ordinal
""")


def load(
    connection: Connection, generation: Generation, batch: Sequence[tuple[uuid.UUID, int, int]]
) -> list[DocumentUpdate]:
    """Load the complete state of a batch of (id, version, points); documents that changed since are left out."""
    wanted = [(doc_id, version) for doc_id, version, count in batch if count]
    params = {"ids": [doc_id for doc_id, _ in wanted], "versions": [version for _, version in wanted]}
    documents = {row.doc_id: row for row in connection.execute(_DOCUMENTS, params)}
    fingerprints = {"embedder": generation.embedder, "chunker": generation.chunker}
    points: dict[uuid.UUID, list[IndexPoint]] = {doc_id: [] for doc_id, _, _ in batch}
    for row in connection.execute(_POINTS, params | fingerprints):
        if row.doc_id in documents:
            points[row.doc_id].append(_point(documents[row.doc_id], row))
    connection.commit()
    return [
        DocumentUpdate(doc_id, version, tuple(points[doc_id]))
        for doc_id, version, count in batch
        if len(points[doc_id]) == count
    ]


def _point(document: Any, chunk: Any) -> IndexPoint:
    payload = payload_of(document, chunk, document.text[chunk.start : chunk.end])
    return IndexPoint(chunk.chunk_id, decode(chunk.vector), payload, chunk.embed_text)


def payload_of(document: Any, chunk: Any, content: str) -> Payload:
    """The payload of a chunk, from its row and that of its document."""
    return Payload(
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
        text=content,
        headings=tuple(chunk.headings),
        blocks=(blocks := from_rows(chunk.blocks or (), chunk.start, chunk.headings)),
        page=blocks[0].page if blocks else 0,
        links=links_within(document.links or (), chunk.start, chunk.end),
        language=document.language,
        media_type=document.media_type,
        updated_at=document.updated_at,
        metadata=document.metadata,
    )
