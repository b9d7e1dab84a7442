"""Work through a shard in rounds: read some items, chunk, embed and index them, then the next ones.

The first round is tiny, so that something of a source is searchable at once; later ones grow to `round_seconds`,
where reading, sorting by length and committing cost little. What is new is read first, then what earlier runs left
pending. Nothing here is state that a crash could lose: what is done is in the rows.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from rag_core.content.chunking import ChunkingResult
from rag_core.content.chunking import store as chunks
from rag_core.content.quality import QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import Connector, Scope
from rag_core.content.sources import store as sources
from rag_core.errors import Reason
from rag_core.governance.tenants import store as tenants
from rag_core.ids import document_id, fingerprint
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import progress_store
from rag_core.ingestion.pipeline.base import Progress, SmallChanges, StageResult, Work
from rag_core.ingestion.pipeline.metadata_updates import MetadataPublisher
from rag_core.ingestion.pipeline.pending_store import Backlog
from rag_core.ingestion.pipeline.stage_runner import STAGES, StageDependencies, record, record_ingested, run_stages
from rag_core.ingestion.pipeline.stages.document_sync import DocumentSync, ReadLimit
from rag_core.ingestion.pipeline.turns import NO_TURN, SharedTurn
from rag_core.settings import Settings

_FIRST_SECONDS = 1.0
_MOST_CHARS = 32_000_000
_MOST_DOCUMENTS = 2000
_GROWTH = 2.0
_PREVIEW = 10

CheckRound = Callable[[Sequence[uuid.UUID] | None], Mapping[str, str]]
"""Called with the documents of a round before they go to the index, `None` for all that are pending; returns the
locators of those that must not go there, each with the reason in words."""


def accept_all(_: Sequence[uuid.UUID] | None) -> Mapping[str, str]:
    """The `CheckRound` that refuses nothing."""
    return {}


class Pace:
    """The size of the next round: as much text as fits into its time at the speed of the rounds before."""

    def __init__(self, settings: Settings) -> None:
        self._first, self._longest = settings.first_round_chars, settings.round_seconds
        self._seconds = min(_FIRST_SECONDS, self._longest)
        self._chars = float(self._first)

    @property
    def limit(self) -> ReadLimit:
        """The end of the next round's reading."""
        return ReadLimit(_MOST_DOCUMENTS, round(self._chars), self._seconds)

    @property
    def first(self) -> ReadLimit:
        """A round as small as the first one."""
        return ReadLimit(_MOST_DOCUMENTS, self._first, _FIRST_SECONDS)

    def measured(self, chars: int, seconds: float) -> None:
        """Fit to a finished round."""
        self._seconds = min(self._longest, self._seconds * _GROWTH)
        fitting = chars / max(seconds, 0.01) * self._seconds
        self._chars = min(max(fitting, self._first), self._chars * _GROWTH * 2, _MOST_CHARS)


@dataclass(slots=True)
class RoundTotals:
    """The sum of the results of all rounds, by stage."""

    stages: dict[str, StageResult] = field(default_factory=dict)

    def add(self, results: dict[str, StageResult]) -> None:
        """Add the results of one round."""
        for stage, result in results.items():
            known = self.stages.get(stage)
            self.stages[stage] = result if known is None else _sum(known, result)


def _sum(one: StageResult, two: StageResult) -> StageResult:
    counts = Counter(one.counts)
    counts.update(two.counts)
    # These count generations, and each round says the same of them.
    counted = [name for name in ("generations", "deferred") if name in two.counts]
    same: dict[str, int] = {name: max(one.counts.get(name, 0), two.counts[name]) for name in counted}
    return replace(
        one,
        counts={**{name: counts[name] for name in {**one.counts, **two.counts}}, **same},
        seconds=one.seconds + two.seconds,
        bytes=one.bytes + two.bytes,
        preview=[*one.preview, *two.preview][:_PREVIEW],
        problem=two.problem or one.problem,
        message=two.message or one.message,
        pending=one.pending + two.pending,
    )


class Rounds:
    """One pass over a shard whose lock `connection` holds."""

    def __init__(
        self,
        dependencies: StageDependencies,
        connection: Connection,
        scope: Scope,
        stages: Collection[str],
        progress: Progress | None,
        check: CheckRound,
        only: SmallChanges | None = None,
    ) -> None:
        self._only = only
        self._dependencies, self._connection, self._scope, self._stages = dependencies, connection, scope, stages
        self._progress, self._check = progress, check
        self._turn = SharedTurn(connection, scope, slots=dependencies.settings.embedding_runs)
        self._pace = Pace(dependencies.settings)
        self._totals = RoundTotals()
        self._done = 0

    def run(self, connector: Connector | None, *, changes: bool = False) -> dict[str, StageResult]:
        """Work until nothing is left; returns the results of the stages."""
        with closing(self._turn):
            if connector is not None and "documents" in self._stages:
                self._read_source(connector, changes=changes)
            self._work_off()
        for stage in self._later:
            if stage in self._totals.stages:
                record(self._work(None), self._totals.stages[stage])
        self._record_applied()
        return {stage: self._totals.stages[stage] for stage in STAGES if stage in self._totals.stages}

    def _record_applied(self) -> None:
        """Store the state of the source that is searchable now, when nothing of it is left to do."""
        results = self._totals.stages
        tag = results["documents"].version_tag if "documents" in results else None
        clean = not any(result.problem or result.pending for result in results.values())
        if tag is not None and clean and results.keys() == set(STAGES) and self._scope.source.shards == 1:
            tenant, source, _ = self._scope.key
            sources.record_applied(self._connection, tenant, source, fingerprint(tag))
            self._connection.commit()

    @property
    def _later(self) -> list[str]:
        return [stage for stage in STAGES[1:] if stage in self._stages]

    @property
    def _in_rounds(self) -> bool:
        """Single stages are run over the whole shard, each of them in batches."""
        return {"embeddings", "index"} <= set(self._stages)

    def _read_source(self, connector: Connector, *, changes: bool) -> None:
        dependencies = self._dependencies
        publisher = MetadataPublisher(lambda: dependencies.index, dependencies.settings)
        sync = DocumentSync(
            self._connection,
            connector,
            dependencies.parser,
            self._scope,
            dependencies.settings,
            changes=changes,
            only=self._only,
            publish=publisher.publish,
            on_commit=partial(record_ingested, dependencies, self._scope.source),
        )
        with closing(sync):
            sync.open(lambda: self._read_round(sync, self._pace.first, listing=True))
            self._store_progress(sync)  # that the listing has come to its end, before the rest of a round is read
            while self._read_round(sync, self._pace.limit):
                pass
            result = sync.finish()
        outcomes = {f"crawl_{name}": count for name, count in sorted(result.outcomes.items())}
        published = {"published": publisher.counts["documents"]}
        self._totals.add({"documents": replace(result, outcomes={**published, **outcomes})})

    def _read_round(self, sync: DocumentSync, limit: ReadLimit, *, listing: bool = False) -> bool:
        """Read one round and bring it to the index; returns whether there was anything to read."""
        started = time.monotonic()
        written = sync.read(limit if self._in_rounds else None)
        self._store_progress(sync, listing=listing)
        if written is None:
            return False
        if self._in_rounds and written.doc_ids:
            self._round(written.doc_ids, written.chars, started, remaining=sync.queue.bytes)
        self._report(written.items, sync.queue.items)
        return True

    def _store_progress(self, sync: DocumentSync, *, listing: bool = False) -> None:
        queue = sync.queue
        outdated = queue.items - queue.new
        progress_store.write(
            self._connection, self._scope, unread=queue.new, outdated=outdated, size=queue.bytes, listing=listing
        )

    def _work_off(self) -> None:
        """Do what is pending whatever the listing said: it was left by earlier runs, or deferred in a round."""
        if not self._in_rounds:
            self._stages_of(None)
            return
        work = self._work(None)
        rows = generations.write_targets(self._connection)
        self._work_off_backlog(
            Backlog(self._connection, self._scope.key, [(row.name, work.only_indexed(row)) for row in rows])
        )
        if not self._totals.stages.keys() & set(self._later):
            self._stages_of([])  # the counts of a run without pending work

    def _work_off_backlog(self, backlog: Backlog) -> None:
        while True:
            started = time.monotonic()
            limit = self._pace.limit
            doc_ids, chars = backlog.take(documents=limit.documents, chars=limit.chars)
            if not doc_ids:
                return
            self._round(doc_ids, chars, started, remaining=backlog.chars)
            self._report(len(doc_ids), backlog.documents)

    def _report(self, done: int, left: int) -> None:
        self._done += done
        if self._progress is not None:
            self._progress(self._done, self._done + left)

    def _round(self, doc_ids: Sequence[uuid.UUID], chars: int, started: float, *, remaining: int) -> None:
        self._turn.remaining = remaining + chars
        self._stages_of(doc_ids)
        self._turn.add_bytes(chars)
        self._pace.measured(chars, time.monotonic() - started)

    def _stages_of(self, doc_ids: Sequence[uuid.UUID] | None) -> None:
        """Run the later stages; documents that the check refuses go to quarantine instead of to the index.

        A run ends when its tenant is suspended.
        """
        tenants.check_active(self._connection, self._scope.source.tenant)
        work = self._work(doc_ids)
        self._totals.add(run_stages(self._dependencies, work, [stage for stage in self._later if stage != "index"]))
        if doc_ids is None or doc_ids:
            quarantine_stored(work, self._check(doc_ids))
        if "index" in self._later:
            self._totals.add(run_stages(self._dependencies, work, ["index"]))

    def _work(self, doc_ids: Sequence[uuid.UUID] | None) -> Work:
        progress = self._progress if doc_ids is None else None  # of a round only the end is reported
        turn = self._turn if self._only is None else NO_TURN  # small changes wait for no turn, as pushes do
        return Work(self._connection, self._scope, self._dependencies.settings, doc_ids, progress, turn=turn)


def quarantine_stored(work: Work, refused: Mapping[str, str]) -> None:
    """Withdraw stored documents, by locator with the reason in words, until their text or the chunker changes."""
    if not refused:
        return
    connection, (tenant, source, shard) = work.connection, work.scope.key
    stored = chunks.texts(connection, [document_id(tenant, source, locator) for locator in refused])
    without = [ChunkingResult(row.doc_id, row.text_version, (), rejected=True) for row in stored]
    chunkers = sorted({row.chunker for row in generations.write_targets(connection)})
    for chunker in chunkers:
        chunks.replace(connection, chunker, without)
    entries = [
        QuarantineEntry(
            row.locator, "index", Reason.SCHEMA_VIOLATION, refused[row.locator], row.token, " ".join(chunkers)
        )
        for row in stored
    ]
    quarantine.record(connection, tenant, source, shard, work.scope.run_id, entries)
    connection.commit()
