"""The chunk and embed stages for every generation that changes go to, each with its own chunker and embedder.

A generation that readers are not on never stops a run or a push: what it is missing is row state, so its build or the
next run brings it, and until then the accounting names what is pending.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from rag_core.errors import Conflict, RagError, Reason, Unavailable
from rag_core.logging import get_logger
from rag_core.pipeline.base import Progress, Scope, StageReport
from rag_core.pipeline.chunks import chunk_documents, chunk_given
from rag_core.pipeline.embeddings import embed_chunks, embed_given
from rag_core.pipeline.index import log_deferred, unless_deferred
from rag_core.pipeline.kits import Kit, Kits
from rag_core.settings import Settings
from rag_core.store import generations
from rag_core.store.engine import Store
from rag_core.store.generations import Generation

log = get_logger(__name__)


def chunk_following(
    store: Store, kits: Kits, scope: Scope, settings: Settings, progress: Progress | None = None
) -> StageReport:
    """`chunk_documents` for the chunker of every generation that follows; before the first, for this installation's.

    A generation that is building gets only documents it held before. Counts are those of the active generation;
    `followed` adds up the documents chunked for others, `deferred` counts others that could not be served now.
    """

    def run(kit: Kit, *, known: bool) -> StageReport:
        return chunk_documents(store, kit.chunker, scope, settings, progress, known=known)

    return _each(store, kits.chunking, kits.own, lambda row: row.chunker, run, "documents")


def embed_following(
    store: Store, kits: Kits, scope: Scope, settings: Settings, progress: Progress | None = None
) -> StageReport:
    """`embed_chunks` for the embedder and chunker of every generation that follows. Counts as `chunk_following`."""

    def run(kit: Kit, *, known: bool) -> StageReport:
        return embed_chunks(store, kit.embedder, kit.chunker.fingerprint, scope, settings, progress)

    return _each(store, kits.of, kits.own, lambda row: (row.embedder, row.chunker), run, "embedded")


def follow_given(
    connection: Connection, kits: Kits, scope: Scope, settings: Settings, doc_ids: Sequence[uuid.UUID]
) -> Counter[str]:
    """Chunk and embed some documents for every generation that follows; counts `chunked` and `embedded`.

    For a few documents at a time, on a connection that holds their shard. What is already done costs one query. Only
    the active generation can make it fail: another one that cannot be served now is left to its build or the next run.
    """
    counts: Counter[str] = Counter()
    rows = _distinct(generations.following(connection), lambda row: (row.embedder, row.chunker))
    connection.commit()
    for row in rows:
        try:
            kit = kits.of(row)
        except RagError as error:
            if row.state == "active" and isinstance(error, Unavailable):
                raise  # it may come back; one that cannot be computed any more does not
            log_deferred(row, error)
            continue
        work = partial(_apply_kit, connection, kit, scope, settings, doc_ids)
        counts.update(unless_deferred(connection, row, work))
    return counts


def _apply_kit(
    connection: Connection, kit: Kit, scope: Scope, settings: Settings, doc_ids: Sequence[uuid.UUID]
) -> Counter[str]:
    chunker = kit.chunker
    chunked = chunk_given(connection, chunker, scope, settings, doc_ids)
    embedded = embed_given(connection, kit.embedder, chunker.fingerprint, scope, settings, doc_ids)
    return Counter(chunked=chunked, embedded=embedded)


def _each(
    store: Store,
    kit_of: Callable[[Generation], Kit],
    own: Kit,
    key: Callable[[Generation], object],
    run: Callable[..., StageReport],
    counted: str,
) -> StageReport:
    with store.engine.connect() as connection:
        rows = generations.following(connection)
    others: Counter[str] = Counter(followed=0, deferred=0)
    first: Callable[[], StageReport] = lambda: run(own, known=False)  # noqa: E731
    distinct = list(_distinct(rows, key))
    if distinct and distinct[0].state == "active":
        leading = distinct.pop(0)
        first = lambda: _leading(leading, kit_of, run)  # noqa: E731
    elif distinct:
        first = lambda: StageReport("", {}, 0.0)  # noqa: E731
    for row in distinct:
        try:
            report = run(kit_of(row), known=row.state == "building")
        except RagError as error:
            if error.reason is Reason.SOURCE_BUSY:
                raise
            log_deferred(row, error)
            others["deferred"] += 1
        else:
            others["followed"] += report.counts.get(counted, 0)
    # Last, so that the record kept for the run is that of the generation readers are on.
    made = first()
    return replace(made, counts={**made.counts, **others})


def _leading(row: Generation, kit_of: Callable[[Generation], Kit], run: Callable[..., StageReport]) -> StageReport:
    try:
        kit = kit_of(row)
    except Conflict as error:
        log.warning("generation_frozen", generation=row.name, message=error.message)
        return StageReport("", {}, 0.0, problem=error.reason, message=error.message)
    return run(kit, known=False)


def _distinct(rows: list[Generation], key: Callable[[Generation], object]) -> Iterator[Generation]:
    """One row per key: the complete one when there is one."""
    chosen: dict[object, Generation] = {}
    for row in rows:
        held = chosen.get(key(row))
        if held is None or (row.complete and not held.complete):
            chosen[key(row)] = row
    return iter(chosen.values())
