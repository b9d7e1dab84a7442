"""Forecast of a build: documents, chunks, texts to embed, tokens, time and money."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, text

from rag_core.chunking import Chunk
from rag_core.chunking import store as chunk_store
from rag_core.database import Store
from rag_core.errors import Conflict, RagError, Reason
from rag_core.generations import Transforms
from rag_core.ids import text_hash
from rag_core.settings import Settings

SAMPLE_DOCUMENTS = 40
_TIMED_TEXTS = 8
_WRITES_PER_SECOND = 400.0
"""Points chunked, written and optimised per second, measured on two loaded cores. Embedding is measured apart."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The estimate of a build. Of the distinct `texts`, `cached` have a vector and `to_embed` have none.

    `seconds` is for a build alone on this machine, at the speed measured now; `cost` is in the currency of
    `RAG_EMBED_PRICE`, 0 without it. `exact` is false when this chunker has not chunked every document: counts are then
    extrapolated from a sample.
    """

    documents: int
    chunks: int
    texts: int
    cached: int
    to_embed: int
    tokens: int
    seconds: float
    cost: float
    exact: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def require_consent(self, settings: Settings, *, consent: bool) -> None:
        """Raise `Conflict` (`CONFIRMATION_NEEDED`) when the build is above a limit and was not confirmed."""
        large = self.to_embed > settings.build_confirm_texts
        dear = self.cost > settings.build_confirm_cost
        if (large or dear) and not consent:
            raise Conflict(
                Reason.CONFIRMATION_NEEDED,
                f"the build embeds {self.to_embed} texts ({self.tokens} tokens) in about {self.seconds / 60:.0f} min "
                f"at a cost of {self.cost:.2f}; that is above the limit to start it without consent",
            )


_SIZE = text("""
SELECT count(*) AS documents, count(p.doc_id) AS pending,
       coalesce(sum(octet_length(d.text)) FILTER (WHERE p.doc_id IS NOT NULL), 0) AS pending_bytes
FROM rag.documents d LEFT JOIN rag.pending_chunks(:chunker) p ON p.doc_id = d.doc_id
WHERE d.deleted_at IS NULL
""")
_KNOWN = text("""
SELECT count(*) AS chunks, count(DISTINCT c.text_hash) AS texts,
       count(DISTINCT c.text_hash) FILTER (WHERE p.doc_id IS NULL) AS cached,
       coalesce(sum(p.tokens), 0) AS tokens
FROM rag.chunks c
JOIN rag.documents d ON d.doc_id = c.doc_id AND d.deleted_at IS NULL
LEFT JOIN rag.pending_embeddings(:chunker, :embedder) p ON p.doc_id = c.doc_id AND p.ordinal = c.ordinal
WHERE c.chunker = :chunker
""")
_SAMPLE = text("""
SELECT p.doc_id FROM rag.pending_chunks(:chunker) p ORDER BY md5(p.doc_id::text) LIMIT :sample
""")
_CACHED = text("SELECT count(*) FROM rag.embeddings WHERE embedder = :embedder AND text_hash = ANY(:hashes)")


@dataclass(slots=True)
class _Counts:
    chunks: float = 0
    texts: float = 0
    cached: float = 0
    tokens: float = 0


def forecast(store: Store, transforms: Transforms, settings: Settings) -> Forecast:
    """Estimate a build with these transforms. Embeds `_TIMED_TEXTS` texts to measure the speed. Writes nothing.

    Raises `Unavailable` when a remote model cannot be reached.
    """
    embedder, chunker = transforms.fingerprints
    keys = {"embedder": embedder, "chunker": chunker}
    with store.engine.connect() as connection:
        size = connection.execute(_SIZE, keys).one()
        counts = _Counts(*connection.execute(_KNOWN, keys).one())
        sampled = _sampled(connection, transforms) if size.pending else []
        if sampled:
            share = sum(size_of for size_of, _ in sampled)
            _scale_up(connection, counts, sampled, embedder, size.pending_bytes / max(1, share))
    to_embed = max(0, round(counts.texts - counts.cached))
    per_text = (
        _seconds_per_text(transforms, [chunk.embed_text for _, made in sampled for chunk in made]) if to_embed else 0.0
    )
    return Forecast(
        documents=size.documents,
        chunks=round(counts.chunks),
        texts=round(counts.texts),
        cached=round(counts.cached),
        to_embed=to_embed,
        tokens=round(counts.tokens),
        seconds=round(to_embed * per_text + counts.chunks / _WRITES_PER_SECOND, 1),
        cost=round(counts.tokens / 1e6 * settings.embed_price, 4),
        exact=not size.pending,
    )


def _sampled(connection: Connection, transforms: Transforms) -> list[tuple[int, list[Chunk]]]:
    """Bytes and chunks of a sample of documents this chunker has not chunked yet; a rejected one has no chunk."""
    params = {"chunker": transforms.chunker.fingerprint, "sample": SAMPLE_DOCUMENTS}
    ids = list(connection.scalars(_SAMPLE, params))
    found = []
    for stored in chunk_store.texts(connection, ids):
        try:
            made = transforms.chunker.chunk(stored.doc_id, stored.document)
        except RagError:
            made = []
        found.append((len(stored.document.text.encode()), made))
    return found


def _scale_up(
    connection: Connection, counts: _Counts, sampled: list[tuple[int, list[Chunk]]], embedder: str, factor: float
) -> None:
    made = [chunk for _, chunks in sampled for chunk in chunks]
    hashes = {text_hash(chunk.embed_text) for chunk in made}
    cached = connection.scalar(_CACHED, {"embedder": embedder, "hashes": list(hashes)}) or 0
    counts.chunks += len(made) * factor
    counts.texts += len(hashes) * factor
    counts.cached += cached * factor
    missing = 1 - cached / max(1, len(hashes))
    counts.tokens += sum(chunk.tokens for chunk in made) * missing * factor


def _seconds_per_text(transforms: Transforms, texts: list[str]) -> float:
    wanted = texts[:_TIMED_TEXTS] or ["A passage of ordinary length about pumps, oil and days. " * 12] * _TIMED_TEXTS
    transforms.embedder.embed_passages(wanted[:1])  # the first call includes lazy loading
    started = time.perf_counter()
    transforms.embedder.embed_passages(wanted)
    return (time.perf_counter() - started) / len(wanted)
