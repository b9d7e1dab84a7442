"""The last stage: every generation that follows is given the document versions it lacks."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.errors import RagError
from rag_core.index.base import VectorIndex
from rag_core.logging import get_logger
from rag_core.pipeline.base import Progress, Scope, StageReport, Stop, never
from rag_core.settings import Settings
from rag_core.store import generations, indexing, locks, runs
from rag_core.store.engine import Store
from rag_core.store.generations import Generation
from rag_core.store.indexing import Pending

log = get_logger(__name__)
STAGE = "index"
_COUNTS = ("generations", "documents", "upserted", "removed", "stale", "deferred")


def index_documents(
    store: Store, index: VectorIndex, scope: Scope, settings: Settings, progress: Progress | None = None
) -> StageReport:
    """Apply to each building, ready and active generation what it lacks of a shard, and mark it once it is flushed.

    Of one that is building only what it held before: changes, deletions and permissions reach it at once, and the rest
    is the work of its build (`rag_core.generations`).

    A document goes in whole, at one version, or waits: its chunks and vectors must be complete. Tombstones, rejected
    documents and documents whose ACL was never known go in without points. Counts, summed over generations:
    `documents`, `upserted`, `removed` points, `stale`; and `generations`, with `deferred` ones among them: those that
    readers are not on and that could not be written to now.

    Raises `Unavailable` (`INDEX_UNAVAILABLE`) with nothing marked that was not applied, `Conflict` (`SOURCE_BUSY`).
    """
    started = time.monotonic()
    tenant, source = scope.source.tenant, scope.source.name
    with locks.shard_connection(store, tenant, source, scope.shard, wait=settings.source_wait_seconds) as connection:
        following = generations.following(connection)
        connection.commit()
        counts: Counter[str] = Counter(generations=len(following))
        for generation in following:
            work = partial(
                catch_up,
                connection,
                index,
                generation,
                shard=(tenant, source, scope.shard),
                documents=settings.index_batch_documents,
                points=settings.index_batch_points,
                progress=progress,
                known=generation.state == "building",
            )
            counts.update(unless_deferred(connection, generation, work))
        report = {name: counts[name] for name in _COUNTS}
        seconds = time.monotonic() - started
        runs.record(
            connection,
            run_id=scope.run_id,
            tenant=tenant,
            source=source,
            shard=scope.shard,
            stage=STAGE,
            counts=report,
            seconds=seconds,
        )
        connection.commit()
    return StageReport(STAGE, report, seconds)


def index_given(
    connection: Connection, index: VectorIndex, settings: Settings, doc_ids: Sequence[uuid.UUID]
) -> Counter[str]:
    """Apply the given documents to every generation that lacks their version; counts as `index_documents`.

    For a few documents at a time, on a connection that holds their shard.
    """
    counts: Counter[str] = Counter()
    for generation in generations.following(connection):
        work = partial(_apply_given, connection, index, generation, settings, doc_ids)
        counts.update(unless_deferred(connection, generation, work))
    connection.commit()
    return counts


def log_deferred(generation: Generation, error: RagError) -> None:
    """Say that a generation has to wait for its build or the next run. The rows know what it is missing."""
    log.warning("generation_deferred", generation=generation.name, reason=error.reason, message=error.message)


def unless_deferred(connection: Connection, generation: Generation, work: Callable[[], Counter[str]]) -> Counter[str]:
    """Do the work of one generation. Only a failure of the active one is raised: another one stops nobody's changes."""
    try:
        return work()
    except RagError as error:
        connection.rollback()
        if generation.state == "active":
            raise
        log_deferred(generation, error)
        return Counter(deferred=1)


def _apply_given(
    connection: Connection,
    index: VectorIndex,
    generation: Generation,
    settings: Settings,
    doc_ids: Sequence[uuid.UUID],
) -> Counter[str]:
    counts: Counter[str] = Counter()
    pending = indexing.pending_among(connection, generation, doc_ids)
    limits = {"documents": settings.index_batch_documents, "points": settings.index_batch_points}
    for batch in indexing.in_batches(pending, **limits):
        counts.update(_apply(connection, index, generation, batch))
    return counts


def _apply(
    connection: Connection, index: VectorIndex, generation: Generation, batch: Sequence[Pending]
) -> Counter[str]:
    """Give a generation one batch, then mark it: the mark is only written for what the engine has flushed."""
    updates = indexing.load(connection, generation, batch)
    result = index.apply(generation.name, updates)
    failpoints.reach("after_upsert")
    generations.mark(connection, generation.name, [(update.doc_id, update.version) for update in updates])
    failpoints.reach("before_mark")
    connection.commit()
    return Counter(documents=len(updates), upserted=result.upserted, removed=result.removed, stale=result.stale)


def catch_up(
    connection: Connection,
    index: VectorIndex,
    generation: Generation,
    *,
    shard: tuple[str, str, int] | None = None,
    documents: int = 64,
    points: int = 512,
    progress: Progress | None = None,
    known: bool = False,
    stop: Stop = never,
) -> Counter[str]:
    """Give one generation what it lacks of a (tenant, source, shard), or of everything.

    One write carries at most so many `documents` and `points`. `known` leaves out documents it never held, `stop` ends
    it between two writes. Counts as `index_documents`.
    """
    counts: Counter[str] = Counter()
    total = indexing.find_pending(connection, generation, shard, known=known)
    if total == 0:
        return counts
    for batch in indexing.pending(connection, documents=documents, points=points):
        counts.update(_apply(connection, index, generation, batch))
        if progress is not None:
            progress(counts["documents"], total)
        if stop():
            break
    if counts["stale"]:
        # The index knows a newer version than PostgreSQL: a database was restored from a backup.
        log.warning("index_ahead_of_database", generation=generation.name, documents=counts["stale"])
    return counts
