"""Index a labelled corpus through the real chunker."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.report import Progress
from benchmarks.vectors import VectorCache
from rag_core.answering.evaluation import Dataset
from rag_core.answering.evaluation.dataset import Document
from rag_core.content.chunking import Chunk, Chunker
from rag_core.content.parsing import Block, BlockKind, ParsedDocument
from rag_core.governance.access import EVERYONE
from rag_core.ids import chunk_id, document_id, text_hash
from rag_core.retrieval.index import DocumentUpdate, GenerationSpec, IndexPoint, Payload, VectorIndex

TENANT = "bench"
GENERATION = "bench"
_WRITE_DOCUMENTS = 64
_TIME = datetime(2000, 1, 1, tzinfo=UTC)

Chunked = list[tuple[Document, list[Chunk]]]


def chunk_corpus(dataset: Dataset, chunker: Chunker | None) -> Chunked:
    """Chunks per document; with no chunker the whole document is one."""
    return [
        (
            document,
            chunker.chunk(_doc_id(dataset, document), _parsed(document)) if chunker else [_whole(dataset, document)],
        )
        for document in dataset.documents
        if document.text.strip()
    ]


def fill(
    index: VectorIndex, dataset: Dataset, chunked: Chunked, vectors: VectorCache, progress: Progress | None = None
) -> None:
    """Create, fill and promote the one generation of an empty index."""
    texts = [chunk.embed_text for _, chunks in chunked for chunk in chunks]
    embedded = iter(vectors.passages(texts, progress))
    updates = []
    for document, chunks in chunked:
        doc_id = _doc_id(dataset, document)
        points = tuple(
            IndexPoint(chunk.chunk_id, next(embedded), _payload(dataset, document, chunk), chunk.embed_text)
            for chunk in chunks
        )
        updates.append(DocumentUpdate(doc_id, 1, points))
    dimensions = updates[0].points[0].vector.shape[0]
    index.create(GenerationSpec(GENERATION, dimensions, "bench", "bench"))
    for start in range(0, len(updates), _WRITE_DOCUMENTS):
        index.apply(GENERATION, updates[start : start + _WRITE_DOCUMENTS])
    index.promote(GENERATION)


def best_chunks(locators: Sequence[str]) -> list[str]:
    """Documents in the order of their best chunk: a ranking of chunks without the later ones of each document."""
    return list(dict.fromkeys(locators))


def _doc_id(dataset: Dataset, document: Document) -> uuid.UUID:
    return document_id(TENANT, dataset.name, document.id)


def _parsed(document: Document) -> ParsedDocument:
    blocks = (Block(BlockKind.PARAGRAPH, 0, len(document.text)),)
    return ParsedDocument(document.text, "text/plain", title=document.title, blocks=blocks)


def _whole(dataset: Dataset, document: Document) -> Chunk:
    embed_text = f"{document.title}\n\n{document.text}".strip()
    hashed = text_hash(embed_text)
    return Chunk(
        chunk_id=chunk_id(_doc_id(dataset, document), hashed, 0),
        ordinal=0,
        start=0,
        end=len(document.text),
        text=document.text,
        headings=(),
        embed_text=embed_text,
        text_hash=hashed,
        tokens=0,
    )


def _payload(dataset: Dataset, document: Document, chunk: Chunk) -> Payload:
    return Payload(
        tenant=TENANT,
        source=dataset.name,
        doc_id=_doc_id(dataset, document),
        version=1,
        locator=document.id,
        title=document.title,
        acl=(EVERYONE,),
        ordinal=chunk.ordinal,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
        headings=chunk.headings,
        language="",
        media_type="text/plain",
        updated_at=_TIME,
        blocks=chunk.blocks,
    )
