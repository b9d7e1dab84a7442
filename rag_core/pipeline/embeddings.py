"""The third stage: texts without a vector are embedded, each distinct text once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.embedding.base import Embedder, Vectors
from rag_core.errors import Reason, Unavailable
from rag_core.pipeline.base import Progress, Scope, StageReport, Stop, never
from rag_core.settings import Settings
from rag_core.store import chunks, embeddings, generations, locks, quarantine, runs
from rag_core.store.chunks import Chunked
from rag_core.store.embeddings import Missing
from rag_core.store.engine import Store
from rag_core.store.generations import Generation
from rag_core.store.quarantine import Entry

STAGE = "embeddings"


def embed_chunks(
    store: Store,
    embedder: Embedder,
    chunker_fingerprint: str,
    scope: Scope,
    settings: Settings,
    progress: Progress | None = None,
    *,
    whole: str | None = None,
    stop: Stop = never,
) -> StageReport:
    """Embed the texts of a shard's documents that an index generation still lacks, `embed_batch` per commit.

    Counts: `chunks` and distinct `texts` of those documents, `embedded` now, `cached` before, `rejected` documents
    whose text got no usable vector (quarantined). A run that dies loses at most the batch in progress.
    Of a generation that is `building` only what it held before is looked at, unless `whole` names it; `stop` ends the
    stage between two batches.
    Raises `Unavailable` when a remote model fails, `Conflict` (`SOURCE_BUSY`) while another run works on the shard.
    """
    started = time.monotonic()
    with locks.shard_connection(
        store, scope.source.tenant, scope.source.name, scope.shard, wait=settings.source_wait_seconds
    ) as connection:
        counts = _Embedding(connection, embedder, chunker_fingerprint, scope, settings).run(progress, whole, stop)
        seconds = time.monotonic() - started
        runs.record(
            connection,
            run_id=scope.run_id,
            tenant=scope.source.tenant,
            source=scope.source.name,
            shard=scope.shard,
            stage=STAGE,
            counts=counts,
            seconds=seconds,
        )
        connection.commit()
    return StageReport(STAGE, counts, seconds, bytes=counts["embedded"] * embedder.dimensions * 4)


def embed_given(
    connection: Connection,
    embedder: Embedder,
    chunker_fingerprint: str,
    scope: Scope,
    settings: Settings,
    doc_ids: Sequence[uuid.UUID],
) -> int:
    """Embed the texts of the given documents that have no vector; returns how many.

    For a few documents at a time, on a connection that holds their shard. Failures go as in `embed_chunks`.
    """
    return _Embedding(connection, embedder, chunker_fingerprint, scope, settings).run_given(doc_ids)


class _Embedding:
    """One pass of the stage over one shard."""

    def __init__(
        self, connection: Connection, embedder: Embedder, chunker: str, scope: Scope, settings: Settings
    ) -> None:
        self._connection = connection
        self._embedder = embedder
        self._chunker = chunker
        self._scope = scope
        self._page = settings.embed_batch
        self._key = (scope.source.tenant, scope.source.name, scope.shard)

    def run(self, progress: Progress | None, whole: str | None, stop: Stop) -> dict[str, int]:
        mine = self._generations()
        building = [row.name for row in mine if row.state == "building" and row.name != whole]
        need = embeddings.find_missing(
            self._connection,
            *self._key,
            chunker=self._chunker,
            embedder=self._embedder.fingerprint,
            generations=[row.name for row in mine if row.name not in building],
            building=building,
        )
        done = embedded = rejected = 0
        if need.missing:
            for page in embeddings.missing(self._connection, self._chunker, self._page):
                vectors, usable = self._embed(page)
                rejected += self._commit(page, vectors, usable)
                done, embedded = done + len(page), embedded + int(usable.sum())
                failpoints.reach("after_embed_batch")
                if progress is not None:
                    progress(done, need.missing)
                if stop():
                    break
        return {
            "chunks": need.chunks,
            "texts": need.texts,
            "embedded": embedded,
            "cached": need.texts - need.missing,
            "rejected": rejected,
        }

    def run_given(self, doc_ids: Sequence[uuid.UUID]) -> int:
        """As `run`, for a few documents, without temporary tables. A text that fails takes its documents' chunks away,
        so that each pass leaves fewer."""
        fingerprints = {"chunker": self._chunker, "embedder": self._embedder.fingerprint}
        done = 0
        while page := embeddings.missing_among(self._connection, doc_ids, **fingerprints, limit=self._page):
            vectors, usable = self._embed(page)
            self._commit(page, vectors, usable)
            done += len(page)
            failpoints.reach("after_embed_batch")
        return done

    def _generations(self) -> list[Generation]:
        following = generations.following(self._connection)
        mine = (self._embedder.fingerprint, self._chunker)
        return [row for row in following if (row.embedder, row.chunker) == mine]

    def _embed(self, page: Sequence[Missing]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """The vectors of a page and which of them can be indexed."""
        vectors = self._embedder.embed_passages([row.embed_text for row in page])
        if vectors.shape != (len(page), self._embedder.dimensions):
            raise Unavailable(
                Reason.EMBEDDER_RESPONSE,
                f"embedder: expected {len(page)} vectors of {self._embedder.dimensions}, got shape {vectors.shape}",
            )
        usable = np.isfinite(vectors).all(axis=1) & np.any(vectors != 0, axis=1)
        return vectors, np.asarray(usable)

    def _commit(self, page: Sequence[Missing], vectors: Vectors, usable: npt.NDArray[np.bool_]) -> int:
        good = [row.text_hash for row, fine in zip(page, usable, strict=True) if fine]
        embeddings.store(self._connection, self._embedder.fingerprint, good, vectors[usable])
        bad = [row.text_hash for row, fine in zip(page, usable, strict=True) if not fine]
        rejected = self._reject(bad) if bad else 0
        self._connection.commit()
        return rejected

    def _reject(self, text_hashes: Sequence[bytes]) -> int:
        """Withdraw the documents that contain a text without a usable vector; no search could find that part."""
        users = embeddings.users(self._connection, *self._key, self._chunker, text_hashes)
        emptied = [Chunked(user.doc_id, user.text_version, (), rejected=True) for user in users]
        chunks.replace(self._connection, self._chunker, emptied)
        message = "the embedder gave a vector that is zero or not finite for a part of the document"
        entries = [
            Entry(user.locator, "embed", Reason.VECTOR_NOT_FINITE, message, user.token, self._embedder.fingerprint)
            for user in users
        ]
        tenant, source, shard = self._key
        quarantine.record(self._connection, tenant, source, shard, self._scope.run_id, entries)
        return len(users)
