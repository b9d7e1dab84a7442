"""Forecast of a build: documents, chunks, texts to embed, tokens, time and money."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from rag_core.content.chunking import Chunk
from rag_core.content.chunking import store as chunk_store
from rag_core.database import Store
from rag_core.errors import Conflict, RagError, Reason
from rag_core.http_client import OWN_TEXT, sending
from rag_core.ids import text_hash
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.promotion import store as rows
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


def forecast(store: Store, transforms: Transforms, settings: Settings) -> Forecast:
    """Estimate a build with these transforms. Embeds `_TIMED_TEXTS` texts to measure the speed. Writes nothing.

    Raises `Unavailable` when a remote model cannot be reached.
    """
    embedder, chunker = transforms.fingerprints
    with store.engine.connect() as connection:
        size = rows.size(connection, chunker)
        counts = rows.chunk_counts(connection, chunker, embedder)
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
    """Some documents this chunker has not seen: bytes and chunks of each; one that it refuses has no chunk."""
    ids = rows.sample_unchunked(connection, transforms.chunker.fingerprint, SAMPLE_DOCUMENTS)
    found = []
    for stored in chunk_store.texts(connection, ids):
        try:
            made = transforms.chunker.chunk(stored.doc_id, stored.document)
        except RagError:
            made = []
        found.append((len(stored.document.text.encode()), made))
    return found


def _scale_up(
    connection: Connection,
    counts: rows.ChunkCounts,
    sampled: list[tuple[int, list[Chunk]]],
    embedder: str,
    factor: float,
) -> None:
    made = [chunk for _, chunks in sampled for chunk in chunks]
    hashes = {text_hash(chunk.embed_text) for chunk in made}
    cached = rows.count_cached(connection, embedder, hashes)
    counts.chunks += len(made) * factor
    counts.texts += len(hashes) * factor
    counts.cached += cached * factor
    missing = 1 - cached / max(1, len(hashes))
    counts.tokens += sum(chunk.tokens for chunk in made) * missing * factor


def _seconds_per_text(transforms: Transforms, texts: list[str]) -> float:
    # To measure an endpoint nobody's text is sent.
    own = [] if transforms.embedder.remote else texts[:_TIMED_TEXTS]
    wanted = own or ["A passage of ordinary length about pumps, oil and days. " * 12] * _TIMED_TEXTS
    with sending(OWN_TEXT):
        transforms.embedder.embed_passages(wanted[:1])  # the first call includes lazy loading
        started = time.perf_counter()
        transforms.embedder.embed_passages(wanted)
    return (time.perf_counter() - started) / len(wanted)
