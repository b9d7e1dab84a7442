"""The third stage: embed texts without a vector, each distinct text once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt

from rag_core import failpoints
from rag_core.content.chunking import ChunkingResult
from rag_core.content.chunking import store as chunks
from rag_core.content.embedding import Embedder, PendingText, TextCounts, Vectors
from rag_core.content.embedding import store as embeddings
from rag_core.content.quality import QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import store as sources
from rag_core.errors import Reason, Unavailable
from rag_core.governance.tenants import store as tenants
from rag_core.http_client import OWN_TEXT, Provenance, Use, forbidden, sending
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.pipeline import pending_store as pending
from rag_core.ingestion.pipeline.base import StageResult, Work
from rag_core.ingestion.pipeline.pending_store import Selection
from rag_tracing import openinference, span

STAGE = "embeddings"
_HELD = 4
"""Batches of texts in memory."""
_PAGE_SECONDS = 1.5
"""About how long a page takes, so that a turn can end between two; never more than `embed_batch` texts."""
_FIRST_PAGE = 32


def embed_chunks(work: Work, embedder: Embedder, chunker: str, generations: Sequence[Generation] = ()) -> StageResult:
    """Embed the texts of documents that are pending for one of the `generations`, `embed_batch` per commit.

    All of them use this embedder and chunker; without generations every document counts. Counts: `chunks` and distinct
    `texts` of the documents, `embedded` now, `cached` from before, `rejected` documents whose text got no usable vector
    (quarantined). A run that dies loses at most the batch in progress. Raises `Unavailable` when a remote model fails.

    Texts that may not go to the model (`EGRESS_FORBIDDEN`) are the `problem` of the result, and in the status of the
    source.
    """
    connection = work.connection
    targets = [(row.name, work.only_indexed(row)) for row in generations]
    selection = pending.embeddings(connection, work.extent, chunker, targets)
    fingerprints = {"chunker": chunker, "embedder": embedder.fingerprint}
    texts = embeddings.count(connection, selection.relation, **fingerprints) if selection.total else TextCounts()
    whose = _whose(work, embedder) if texts.pending else OWN_TEXT
    if texts.pending:
        refused = not whose.allows(Use.EMBED)
        if not generations or any(row.state == "active" for row in generations):
            sources.record_egress(connection, *work.scope.key[:2], refused=refused)
        if refused:
            connection.commit()
            return _refused(texts, work.scope.source.name)
    done = embedded = rejected = 0
    with work.turn.taken() if texts.pending else nullcontext():
        pages = _Pages(work, selection, fingerprints)
        for page in pages if texts.pending else ():
            started = time.monotonic()
            with sending(whose):
                vectors, usable = _embed(embedder, page)
            pages.adapt(len(page), time.monotonic() - started)
            rejected += _commit(work, embedder, chunker, page, vectors, usable)
            done, embedded = done + len(page), embedded + int(usable.sum())
            failpoints.reach("after_embed_batch")
            if work.report(done, texts.pending):
                break
            if done < texts.pending:
                work.turn.pass_on()
    counts = {
        "chunks": texts.chunks,
        "texts": texts.texts,
        "embedded": embedded,
        "cached": texts.texts - texts.pending,
        "rejected": rejected,
    }
    return StageResult(STAGE, counts, bytes=embedded * embedder.dimensions * 4, pending=texts.pending - done)


def _whose(work: Work, embedder: Embedder) -> Provenance:
    """Return the provenance of the embedded text. The policy is read where the text would leave: it counts from the
    next batch on."""
    if not embedder.remote:
        return OWN_TEXT
    tenant, source = work.scope.key[:2]
    policy = tenants.egress_policy(work.connection, tenant, work.settings)
    return Provenance(policy, frozenset({source}))


def _refused(texts: TextCounts, source: str) -> StageResult:
    """The result for texts that may not go to the embedding model: what needs no new vector is indexed all the same."""
    cached = texts.texts - texts.pending
    counts = {"chunks": texts.chunks, "texts": texts.texts, "embedded": 0, "cached": cached, "rejected": 0}
    refusal = forbidden(Use.EMBED, source)
    return StageResult(STAGE, counts, pending=texts.pending, problem=str(refusal.reason), message=refusal.message)


class _Pages:
    """Pages of texts of about equal length, as long as `_PAGE_SECONDS` allow at the speed of the one before."""

    def __init__(self, work: Work, selection: Selection, fingerprints: dict[str, str]) -> None:
        self._work, self._selection, self._fingerprints = work, selection, fingerprints
        self._limit = work.settings.embed_batch
        self._size = min(self._limit, _FIRST_PAGE)

    def __iter__(self) -> Iterator[list[PendingText]]:
        held = _HELD * self._limit
        for batch in self._selection.batches(documents=held, weight=held):
            ids = [row.doc_id for row in batch]
            texts = embeddings.pending_texts(self._work.connection, ids, **self._fingerprints)
            texts.sort(key=lambda row: -len(row.embed_text))
            while texts:
                page, texts = texts[: self._size], texts[self._size :]
                yield page

    def adapt(self, texts: int, seconds: float) -> None:
        """Fit the size of the next page to how long one of so many texts took."""
        fitting = round(texts * _PAGE_SECONDS / max(seconds, 1e-3))
        self._size = max(1, min(self._limit, 2 * self._size, fitting))


def _embed(embedder: Embedder, page: Sequence[PendingText]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """The vectors of a page and which of them can be indexed."""
    known = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": embedder.fingerprint}
    with span("embeddings", {**known, **openinference.embedding(embedder.fingerprint), "rag.texts": len(page)}):
        vectors = embedder.embed_passages([row.embed_text for row in page])
    if vectors.shape != (len(page), embedder.dimensions):
        raise Unavailable(
            Reason.EMBEDDER_RESPONSE,
            f"embedder: expected {len(page)} vectors of {embedder.dimensions}, got shape {vectors.shape}",
        )
    usable = np.isfinite(vectors).all(axis=1) & np.any(vectors != 0, axis=1)
    return vectors, np.asarray(usable)


def _commit(
    work: Work,
    embedder: Embedder,
    chunker: str,
    page: Sequence[PendingText],
    vectors: Vectors,
    usable: npt.NDArray[np.bool_],
) -> int:
    """Store the usable vectors; returns how many documents were rejected."""
    good = [row.text_hash for row, fine in zip(page, usable, strict=True) if fine]
    embeddings.store(work.connection, embedder.fingerprint, good, vectors[usable])
    bad = [row.text_hash for row, fine in zip(page, usable, strict=True) if not fine]
    rejected = _reject(work, embedder, chunker, bad) if bad else 0
    work.connection.commit()
    return rejected


def _reject(work: Work, embedder: Embedder, chunker: str, text_hashes: Sequence[bytes]) -> int:
    """Withdraw documents that contain a text without a usable vector: no search could find that text."""
    connection, key = work.connection, work.scope.key
    users = embeddings.users(connection, *key, chunker, text_hashes)
    emptied = [ChunkingResult(user.doc_id, user.text_version, (), rejected=True) for user in users]
    chunks.replace(connection, chunker, emptied)
    message = "the embedder gave a vector that is zero or not finite for a part of the document"
    entries = [
        QuarantineEntry(user.locator, "embed", Reason.VECTOR_NOT_FINITE, message, user.token, embedder.fingerprint)
        for user in users
    ]
    quarantine.record(connection, *key, work.scope.run_id, entries)
    return len(users)
