"""Small points for index tests: eight dimensions, one tenant by default."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.governance.access import EVERYONE
from rag_core.ids import chunk_ids, document_id, text_hash
from rag_core.retrieval.index import (
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    Payload,
    SearchMode,
    SearchRequest,
    SearchResult,
    VectorIndex,
)

DIMENSIONS = 8
SPEC = GenerationSpec("g1", DIMENSIONS, "embedder-1", "chunker-1")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def vector_of(text: str, dimensions: int = DIMENSIONS) -> Vectors:
    """A unit vector that depends on the text only."""
    seed = int.from_bytes(text_hash(text)[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def doc(locator: str, tenant: str = "acme") -> uuid.UUID:
    """Id of a document."""
    return document_id(tenant, "handbook", locator)


def document(
    locator: str, texts: Sequence[str], *, tenant: str = "acme", version: int = 1, **fields: Any
) -> DocumentUpdate:
    """The state of a document with one chunk per text; `fields` replace payload fields."""
    doc_id = doc(locator, tenant)
    points = []
    for ordinal, (text, chunk_id) in enumerate(zip(texts, chunk_ids(doc_id, map(text_hash, texts)), strict=True)):
        payload = Payload(
            tenant=tenant,
            source="handbook",
            doc_id=doc_id,
            version=version,
            locator=locator,
            title=f"About {locator}",
            acl=(EVERYONE,),
            ordinal=ordinal,
            start=ordinal * 1000,
            end=ordinal * 1000 + len(text),
            text=text,
            headings=("Top", "Section"),
            language="en",
            media_type="text/plain",
            updated_at=NEW_YEAR,
            metadata={"team": "blue"},
        )
        points.append(IndexPoint(chunk_id, vector_of(text), replace(payload, **fields), text))
    return DocumentUpdate(doc_id, version, tuple(points))


def removal(locator: str, *, tenant: str = "acme", version: int = 2) -> DocumentUpdate:
    """The update that removes a document."""
    return DocumentUpdate(doc(locator, tenant), version)


def request(text: str, **fields: Any) -> SearchRequest:
    """A hybrid search by everyone of the tenant acme; `fields` replace anything."""
    wanted: dict[str, Any] = {
        "tenant": "acme",
        "acl": (EVERYONE,),
        "limit": 10,
        "text": text,
        "vector": vector_of(text),
    }
    return SearchRequest(**(wanted | fields))


def ask(index: VectorIndex, text: str, **fields: Any) -> list[str]:
    """Texts of the hits, best first."""
    return texts(index.search(request(text, **fields)))


def texts(result: SearchResult) -> list[str]:
    """Texts of the hits, best first."""
    return [hit.payload.text for hit in result.hits]


def filled(index: VectorIndex, *updates: DocumentUpdate) -> VectorIndex:
    """The index with these documents in its active generation."""
    index.create(SPEC)
    index.apply(SPEC.name, updates)
    index.promote(SPEC.name)
    return index


MODES = list(SearchMode)
