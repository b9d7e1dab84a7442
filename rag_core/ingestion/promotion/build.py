"""Build a generation while another is active: in resumable slices, between which live runs proceed."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.content.sources import Scope, Shard, Source
from rag_core.database import Store, locks
from rag_core.errors import Conflict, PermissionDenied, Reason
from rag_core.ingestion.generations import Generation, Transforms
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Progress, Work, chunk_documents, embed_chunks, index_documents, run_stage
from rag_core.ingestion.promotion import store as rows
from rag_core.ingestion.promotion.throttle import Throttle, calls_of_clients, open_throttle, search_probe
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

log = get_logger(__name__)
_BATCH_TEXTS = 32
_BATCH_DOCUMENTS = 16
_BATCH_POINTS = 128
"""Small, because the process that answers searches also does these writes."""
_OVERHEAD_SHARE = 3
_ENDINGS = 200
_OPTIMIZE_POINTS = 2000
"""With fewer points a full scan is faster than a search graph."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of one call of `build`: documents applied, texts embedded, seconds of work and of pauses.

    `total` counts the documents that the generation holds now, those that other processes applied among them.
    `remaining` counts pending documents of other shards, when only some shards were built; `state` is the generation's
    state, `ready` when the build is complete.
    """

    generation: str
    state: str
    documents: int
    embedded: int
    seconds: float
    paused_seconds: float
    remaining: int
    total: int


def build(
    store: Store,
    index: VectorIndex,
    transforms: Transforms,
    name: str,
    settings: Settings,
    *,
    shards: Collection[Shard] | None = None,
    throttle: Throttle | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Bring a generation up to date and make it `ready`. Call it again after a crash to resume.

    With `shards` only those are built, so that several processes can share the work; the last one makes it ready. The
    lock of a shard is held for one slice (`build_slice_seconds`) at a time, so a live run waits no longer than that.

    Raises `Conflict` (`GENERATION_STATE`) for a retired generation or documents that cannot be completed,
    `InvalidInput` (`VECTOR_DIM`) for vectors of another dimension, `PermissionDenied` (`EGRESS_FORBIDDEN`) for a source
    whose text may not go to the embedding model, `Unavailable` when a service is unavailable.
    """
    started = time.monotonic()
    with store.engine.connect() as connection:
        row = generations.get(connection, name)
    if row.state == "retired":
        raise Conflict(Reason.GENERATION_STATE, f"generation {name} is retired; declare it again to build it")
    index.create(row.spec)
    with _paced(store, index, settings, throttle) as pace, store.engine.connect() as connection:
        work = _Build(store, index, transforms, row, settings, progress, connection)
        try:
            state, remaining = work.run_to_end(shards, pace)
        finally:
            connection.invalidate()  # its snapshot must not return to the pool
    with store.engine.connect() as connection:
        total = generations.document_totals(connection)[name].documents
    seconds = time.monotonic() - started
    return BuildReport(name, state, work.documents, work.embedded, seconds, pace.paused_seconds, remaining, total)


class _Build:
    """One build, slice by slice. `connection` holds the snapshot of versions pending at the start of a pass."""

    def __init__(
        self,
        store: Store,
        index: VectorIndex,
        transforms: Transforms,
        row: Generation,
        settings: Settings,
        progress: Progress | None,
        connection: Connection,
    ) -> None:
        self._store, self._index, self._transforms, self._row = store, index, transforms, row
        batches = {"index_batch_documents": _BATCH_DOCUMENTS, "index_batch_points": _BATCH_POINTS}
        batches["embed_batch"] = min(settings.embed_batch, _BATCH_TEXTS)
        self._settings = settings.model_copy(update=batches)
        self._progress = progress
        self._connection = connection
        self.documents = self.embedded = 0

    def run_to_end(self, shards: Collection[Shard] | None, pace: Throttle) -> tuple[str, int]:
        """Build, and make the generation ready unless other shards are pending; returns state and pending documents.

        With a steady stream of edits some documents are always pending: ready means that every version that existed at
        the start of the last pass is indexed.
        """
        self._run(shards, pace)
        if shards is None or not set(self._pending()) - set(shards):
            self._optimize()
            for _ in range(_ENDINGS):
                self._run(shards, pace)
                if self._make_ready():
                    break
            self._run(shards, pace)  # new documents, which live runs leave to the build until it is ready
        with self._store.engine.connect() as connection:
            state = generations.get(connection, self._row.name).state
        return state, sum(self._pending().values())

    def _run(self, shards: Collection[Shard] | None, pace: Throttle) -> None:
        """One pass over the versions that are pending at its start."""
        found = generations.remember_pending(self._connection, self._row.name)
        pending = {shard: count for shard, count in found.items() if shards is None or shard in shards}
        total, before, stuck = sum(pending.values()), self.documents, 0
        waiting = list(pending)
        while waiting:
            again = []
            for shard in waiting:
                if not self._slice(shard):
                    again.append(shard)
                else:
                    # A version that was pending at the start and still is cannot be completed; newer ones are simply
                    # pending.
                    stuck += self._still_pending(shard)
                failpoints.reach("after_build_slice")
                pace.pause()
                self._report_progress(max(0, total - (self.documents - before)), total)
            waiting = again
        if stuck:
            raise Conflict(
                Reason.GENERATION_STATE,
                f"generation {self._row.name}: {stuck} documents cannot be completed now; "
                "their chunks or vectors are missing. `rag quarantine list` may say why",
            )

    def _pending(self) -> dict[Shard, int]:
        with self._store.engine.connect() as connection:
            return generations.pending_by_shard(connection, self._row.name)

    def _still_pending(self, shard: Shard) -> int:
        count = generations.still_pending(self._connection, self._row.name, shard)
        self._connection.commit()
        return count

    def _slice(self, shard: Shard) -> bool:
        """Work on a shard for one slice; returns whether it finished the shard (false when another run holds it)."""
        tenant, source, number = shard
        scope = Scope(Source(source, tenant, "build"), f"build-{self._row.name}", number)
        until = _TimeLimit(self._settings.build_slice_seconds)
        settings = self._settings
        try:
            with locks.shard_connection(self._store, *shard, wait=settings.source_wait_seconds) as connection:
                self._stages(Work(connection, scope, settings, stop=until, include_unindexed=True), until)
        except Conflict as error:
            if error.reason is not Reason.SOURCE_BUSY:
                raise
            log.info("build_paused", generation=self._row.name, source=source, shard=number)
            return False
        return not until.is_over

    def _stages(self, work: Work, until: _TimeLimit) -> None:
        transforms, row = self._transforms, self._row
        run_stage(work, "chunks", lambda: chunk_documents(work, transforms.chunker, [row]))
        if not until.is_over:
            embed = partial(embed_chunks, work, transforms.embedder, transforms.chunker.fingerprint, [row])
            result = run_stage(work, "embeddings", embed)
            self.embedded += result.counts["embedded"]
            if result.problem == Reason.EGRESS_FORBIDDEN:
                raise PermissionDenied(Reason.EGRESS_FORBIDDEN, result.message or "")
        if not until.is_over:
            self.documents += index_documents(work, self._index, row).counts["documents"]

    def _optimize(self) -> None:
        if self._row.state == "building" and self._index.count(self._row.name) >= _OPTIMIZE_POINTS:
            self._index.optimize(self._row.name)
        failpoints.reach("before_ready")

    def _make_ready(self) -> bool:
        """Set `ready` unless a version from the start of the pass is still pending; returns whether it is ready."""
        name, connection = self._row.name, self._connection
        points = self._index.count(name)
        with connection.begin():
            locks.lock_transaction(connection, "generations")
            if generations.get(connection, name).state != "building":
                return True
            if generations.still_pending(connection, name):
                return False
            held = generations.count_indexed(connection, name)
            counts = {"documents": held, "of": held, "points": points}
            generations.change(connection, name, state="ready", ready_at=generations.NOW, counts=counts)
        return True

    def _report_progress(self, pending: int, total: int) -> None:
        if self._progress is not None:
            self._progress(max(0, total - pending), total)
        if not total:
            return  # nothing was pending: keep the counts from the time it became ready
        with self._store.engine.begin() as connection:
            generations.change(connection, self._row.name, counts={"documents": total - pending, "of": total})


class _TimeLimit:
    """A `Stop` that ends a slice after its time. A slow search for pending work makes the slice longer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._deadline: float | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + max(self._seconds, _OVERHEAD_SHARE * (now - self._began)) - (now - self._began)
        return self.is_over

    @property
    def is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline


@contextmanager
def _paced(store: Store, index: VectorIndex, settings: Settings, given: Throttle | None) -> Iterator[Throttle]:
    throttle = given
    if throttle is None:
        with store.engine.connect() as connection:
            active = generations.active(connection)
            tenant = rows.any_tenant(connection) or "nobody"
        if active is None:
            throttle = Throttle(lambda: None, max_pause=0)
        else:
            probe = search_probe(index, active.name, active.dimensions, tenant)
            throttle = open_throttle(settings, probe, calls_of_clients(store))
    with throttle as entered:
        yield entered
