"""An index of any size in minutes: real texts and BM25, and vectors shaped like those of texts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle, islice

from benchmarks.report import Progress
from benchmarks.texts import package_sentences
from rag_core.content.embedding import Vectors
from rag_core.governance.access import EVERYONE
from rag_core.ids import chunk_id, document_id, text_hash
from rag_core.retrieval.index import DocumentUpdate, GenerationSpec, IndexPoint, Payload, VectorIndex

TENANT = "default"
GENERATION = "bench"
_CHUNKS_PER_DOCUMENT = 8
_WRITE_DOCUMENTS = 64
_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def chunk_texts(count: int) -> list[str]:
    """Texts of four sentences, numbered so that no two are equal."""
    sentences = cycle(list(islice(package_sentences(), 20_000)))
    return [f"{number}. " + " ".join(islice(sentences, 4)) for number in range(count)]


def fill_index(index: VectorIndex, texts: list[str], vectors: Vectors, embedder: str, progress: Progress) -> None:
    """Write, optimise and promote one generation; `embedder` is the fingerprint of the one that queries go through."""
    index.create(GenerationSpec(GENERATION, vectors.shape[1], embedder, "bench"))
    batch: list[DocumentUpdate] = []
    for done, update in enumerate(_updates(texts, vectors)):
        batch.append(update)
        if len(batch) == _WRITE_DOCUMENTS:
            index.apply(GENERATION, batch)
            batch = []
            progress(done * _CHUNKS_PER_DOCUMENT, len(texts))
    index.apply(GENERATION, batch)
    index.optimize(GENERATION)
    index.promote(GENERATION)


def _updates(texts: list[str], vectors: Vectors) -> Iterator[DocumentUpdate]:
    for start in range(0, len(texts), _CHUNKS_PER_DOCUMENT):
        rows = slice(start, start + _CHUNKS_PER_DOCUMENT)
        yield update_of(TENANT, f"document-{start}", texts[rows], vectors[rows])


def update_of(tenant: str, locator: str, texts: list[str], vectors: Vectors) -> DocumentUpdate:
    """A document whose chunks are these texts."""
    doc_id = document_id(tenant, "bench", locator)
    points = []
    for ordinal, text in enumerate(texts):
        payload = Payload(
            tenant=tenant,
            source="bench",
            doc_id=doc_id,
            version=1,
            locator=locator,
            title=locator,
            acl=(EVERYONE,),
            ordinal=ordinal,
            start=0,
            end=len(text),
            text=text,
            headings=(),
            language="en",
            media_type="text/plain",
            updated_at=_TIME,
        )
        points.append(IndexPoint(chunk_id(doc_id, text_hash(text), 0), vectors[ordinal], payload, text))
    return DocumentUpdate(doc_id, 1, tuple(points))
