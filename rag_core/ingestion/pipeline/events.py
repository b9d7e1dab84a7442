"""Apply change events: a micro-batch goes through the four stages in one pass, fenced by the events' versions.

The first transaction stores rows, tombstones and quarantine entries together with the progress that the caller's
`settle` writes on the same connection: offsets, inbox marks, dead letters. The later stages are driven by row state, so
applying a batch again after a crash or an error at any point completes it and repeats nothing.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.content.documents import Deletion, StoredDocument
from rag_core.content.documents import store as documents
from rag_core.content.parsing import Parser
from rag_core.content.sources import FetchedItem, FetchTask, Scope, Source, SourceItem
from rag_core.database import locks
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.governance.tenants import store as tenants
from rag_core.ids import document_id
from rag_core.ingestion.pipeline.outcomes import Batch
from rag_core.ingestion.pipeline.reading import WITHOUT_TEXT, ReadResult, parser_fingerprint, read_bytes
from rag_core.ingestion.pipeline.run import run_pipeline
from rag_core.ingestion.pipeline.stage_runner import StageDependencies, record_ingested
from rag_core.logging import get_logger
from rag_tracing import carried, openinference, span

log = get_logger(__name__)
_FLAKY: Final = frozenset({Reason.PARSER_TIMEOUT, Reason.PARSER_OOM, Reason.PARSER_CRASHED})
"""Failures that a retry may resolve; all others recur at every attempt."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one document. `content=None` deletes it.

    `token` is the event's position in its stream and unique in it. `source_version` orders the changes of one document:
    the highest wins in any order of arrival. `acl=None` keeps the document's ACL.
    """

    locator: str
    source_version: int
    token: str
    event_at: datetime
    content: bytes | None = None
    media_type: str | None = None
    title: str | None = None
    acl: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that can never be applied as it is, and the number of attempts."""

    event: Event
    stage: str
    error: RagError
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of each event of a batch, by token: `applied`, `deleted`, `stale`, `superseded` or `dead`."""

    outcomes: dict[str, str]
    refused: tuple[RejectedEvent, ...]


OnStored = Callable[[Connection, BatchResult], None]
"""Writes the progress of a stream in the transaction of the rows. Raising rolls back both."""
Stored = Callable[[BatchResult], None]
"""Called once rows and progress are committed: a later failure is not a failure of an event."""


class SlowEvent(Exception):  # noqa: N818 - not an error: another applier takes it
    """An event took longer than this applier allows. Nothing was stored."""


@dataclass(slots=True)
class _Pass:
    """One selection of events to apply, and the results of reading them."""

    batch: Batch
    outcomes: dict[str, str]
    refused: list[RejectedEvent] = field(default_factory=list)
    reads: dict[str, ReadResult] = field(default_factory=dict)
    """Results of the refused events, by token."""


def _ignore(_settled: BatchResult) -> None:
    """The default callback: do nothing."""


@dataclass(frozen=True, slots=True)
class EventsResult:
    """The result of one micro-batch. `counts`: `documents`, `chunked`, `embedded`, `upserted`, `removed`."""

    settled: BatchResult
    counts: Counter[str]


class EventApplier:
    """Applies micro-batches. One per process and thread-safe; each batch holds the lock of its source."""

    def __init__(
        self,
        dependencies: StageDependencies,
        *,
        parser: Parser | None = None,
        defers: frozenset[Reason] = frozenset(),
        wait: float | None = None,
    ) -> None:
        """`parser` replaces the pipeline's; a failure in `defers` ends a batch with `SlowEvent`; `wait` is the time in
        seconds to wait for the lock of a source."""
        self._dependencies = dependencies
        self._settings = dependencies.settings
        self._parser = parser or dependencies.parser
        self._defers = defers
        self._wait = self._settings.source_wait_seconds if wait is None else wait
        self._pool = ThreadPoolExecutor(self._settings.parser_workers, thread_name_prefix="parse-event")

    def apply(
        self, source: Source, run_id: str, events: Sequence[Event], settle: OnStored, stored: Stored = _ignore
    ) -> EventsResult:
        """Store, chunk, embed and index a batch of one source; it is searchable when this returns.

        Raises `Unavailable` (a service is down), `Conflict` (`SOURCE_BUSY`), `PermissionDenied` (`TENANT_SUSPENDED`,
        `TENANT_ERASED`, before anything is stored) or the error that `settle` raises. Then
        call it again with the same batch, or `reindex` once `stored` was called: nothing is lost or done twice.
        """
        scope = Scope(source, run_id)
        ids = _doc_ids(source, events)
        with locks.shard_connection(self._dependencies.store, *scope.key, wait=self._wait) as connection:
            tenants.check_active(connection, source.tenant)
            with span("stage documents", {"rag.events": len(events), **openinference.CHAIN}):
                settled = self._store_batch(connection, scope, events, ids, settle)
            stored(settled)
            return EventsResult(settled, self._run_later_stages(connection, scope, ids))

    def reindex(self, source: Source, run_id: str, events: Sequence[Event]) -> Counter[str]:
        """Run the later stages again for stored events. Raises as `apply`."""
        scope = Scope(source, run_id)
        with locks.shard_connection(self._dependencies.store, *scope.key, wait=self._wait) as connection:
            return self._run_later_stages(connection, scope, _doc_ids(source, events))

    def finish(self, source: Source, run_id: str) -> dict[str, int]:
        """Run the stages over the stored documents of a source, to finish the work of a worker that died."""
        results = run_pipeline(self._dependencies, Scope(source, run_id))
        return {
            stage: result.counts.get("embedded" if stage == "embeddings" else "documents", 0)
            for stage, result in results.items()
        }

    def close(self) -> None:
        """End the threads. The pipeline's resources belong to the caller."""
        self._pool.shutdown()

    def _store_batch(
        self, connection: Connection, scope: Scope, events: Sequence[Event], ids: Sequence[uuid.UUID], settle: OnStored
    ) -> BatchResult:
        stored_documents = documents.load_stored(connection, ids)
        connection.commit()
        passes = [self._choose(scope, events, stored_documents)]
        # The newest usable version is served, so events that a refused one superseded are selected after all.
        while _hid_another(scope.source, passes[-1].refused, events, stored_documents):
            dead = {one.event.token for each in passes for one in each.refused}
            passes.append(self._choose(scope, [event for event in events if event.token not in dead], stored_documents))
        last, earlier = passes[-1], passes[-2::-1]
        refused = [one for each in passes for one in each.refused]
        settled = BatchResult(last.outcomes | {one.event.token: "dead" for one in refused}, tuple(refused))
        failpoints.reach("before_settle")
        try:
            settle(connection, settled)
            for one in earlier:
                last.batch.write(connection)
                last = self._refuse(connection, scope, one, ids)
            last.batch.commit(connection)
        except BaseException as error:
            _roll_back(connection, error)
            raise
        outcomes = Counter(settled.outcomes.values())
        record_ingested(
            self._dependencies, scope.source, {"added": outcomes["applied"], "quarantined": outcomes["dead"]}
        )
        return settled

    def _choose(
        self, scope: Scope, events: Sequence[Event], stored_documents: Mapping[uuid.UUID, StoredDocument]
    ) -> _Pass:
        """Read the newest event of each document. Raises `Unavailable` when reading must be retried."""
        newest, outcomes = _newest(scope.source, events, stored_documents)
        chosen = _Pass(Batch(scope, parser_fingerprint(self._parser, scope.source)), outcomes)
        with closing(
            self._read([event for event in newest if event.content is not None], chosen.batch, stored_documents)
        ) as reads:
            for event, read, attempts in reads:
                self._store_read(chosen, event, read, attempts)
        for event in newest:
            if event.content is None:
                chosen.batch.deletions.append(
                    Deletion(_doc_id(scope.source, event), event.locator, event.source_version)
                )
                outcomes[event.token] = "deleted"
        return chosen

    def _store_read(self, chosen: _Pass, event: Event, read: ReadResult, attempts: int) -> None:
        failure = read.failure
        if isinstance(failure, Unavailable):
            raise failure
        if failure is not None and failure.reason in self._defers:
            raise SlowEvent
        chosen.batch.add(read)
        chosen.outcomes[event.token] = "applied"
        if failure is not None and failure.reason not in WITHOUT_TEXT:
            chosen.outcomes[event.token] = "dead"
            chosen.refused.append(RejectedEvent(event, read.stage, failure, attempts))
            chosen.reads[event.token] = read

    def _refuse(self, connection: Connection, scope: Scope, refused: _Pass, ids: Sequence[uuid.UUID]) -> _Pass:
        """Keep the ACLs of refused events, based on the rows as this transaction sees them."""
        stored_documents = documents.load_stored(connection, ids)
        again = _Pass(Batch(scope, refused.batch.parser_fingerprint), {})
        for one in refused.refused:
            task = _fetch_task(one.event, stored_documents.get(_doc_id(scope.source, one.event)))
            again.batch.add(replace(refused.reads[one.event.token], task=task))
        return again

    def _read(
        self, events: Sequence[Event], batch: Batch, stored_documents: Mapping[uuid.UUID, StoredDocument]
    ) -> Generator[tuple[Event, ReadResult, int], None, None]:
        source = batch.scope.source

        def read(event: Event) -> tuple[Event, ReadResult, int]:
            task, raw = _fetch_task(event, stored_documents.get(_doc_id(source, event))), _raw(event)
            once = partial(
                read_bytes,
                self._parser,
                batch.parser_fingerprint,
                task,
                raw,
                event.source_version,
                quality=source.quality,
            )
            with span("parse", {"rag.bytes": len(event.content or b"")}):
                outcome, attempts = once(), 1
                while self._may_pass(outcome) and attempts < self._settings.stream_attempts:
                    outcome, attempts = once(), attempts + 1
            return event, outcome, attempts

        if len(events) == 1:
            yield read(events[0])
            return
        reading = [self._pool.submit(carried(read), event) for event in events]
        try:
            yield from (one.result() for one in reading)
        finally:
            for one in reading:
                one.cancel()

    def _run_later_stages(self, connection: Connection, scope: Scope, ids: Sequence[uuid.UUID]) -> Counter[str]:
        """Run the later stages for these documents."""
        results = run_pipeline(self._dependencies, scope, ids, connection=connection)
        chunked, embedded = results["chunks"].counts, results["embeddings"].counts
        counts = Counter(results["index"].counts)
        counts["chunked"] = chunked.get("documents", 0) + chunked["followed"]
        counts["embedded"] = embedded.get("embedded", 0) + embedded["followed"]
        return counts

    def _may_pass(self, read: ReadResult) -> bool:
        reason = read.failure.reason if read.failure is not None else None
        return reason in _FLAKY and reason not in self._defers


def _doc_id(source: Source, event: Event) -> uuid.UUID:
    return document_id(source.tenant, source.name, event.locator)


def _doc_ids(source: Source, events: Sequence[Event]) -> list[uuid.UUID]:
    return list(dict.fromkeys(_doc_id(source, event) for event in events))


def _newest(
    source: Source, events: Sequence[Event], stored_documents: Mapping[uuid.UUID, StoredDocument]
) -> tuple[list[Event], dict[str, str]]:
    """The event of each document to apply, and the outcomes of the other events.

    An event without an ACL inherits the ACL of the event it supersedes, as if both had been applied.
    """
    winners: dict[uuid.UUID, Event] = {}
    outcomes: dict[str, str] = {}
    for event in sorted(events, key=lambda event: event.source_version):
        doc_id = _doc_id(source, event)
        known, before = stored_documents.get(doc_id), winners.get(doc_id)
        if known is not None and event.source_version <= known.newest:
            outcomes[event.token] = "stale"
            continue
        if before is not None and event.source_version == before.source_version:
            outcomes[event.token] = "stale"
            continue
        if before is not None:
            outcomes[before.token] = "superseded"
            if event.acl is None and event.content is not None and before.content is not None:
                event = replace(event, acl=before.acl)
        winners[doc_id] = event
    return list(winners.values()), outcomes


def _hid_another(
    source: Source,
    refused: Sequence[RejectedEvent],
    events: Sequence[Event],
    stored_documents: Mapping[uuid.UUID, StoredDocument],
) -> bool:
    """Return whether a refused event superseded an event of the same batch that is newer than the stored document."""
    for one in refused:
        doc_id = _doc_id(source, one.event)
        newest = stored_documents[doc_id].newest if doc_id in stored_documents else -1
        same = [event for event in events if event.locator == one.event.locator]
        if any(newest < event.source_version < one.event.source_version for event in same):
            return True
    return False


def _roll_back(connection: Connection, error: BaseException) -> None:
    """Roll back without letting a second failure replace the first."""
    try:
        connection.rollback()
    except Exception as second:
        log.warning("rollback_failed", problem=type(second).__name__, after=type(error).__name__)
        connection.invalidate()


def _fetch_task(event: Event, stored: StoredDocument | None) -> FetchTask:
    live = stored is not None and stored.live
    return FetchTask(
        position=0,
        locator=event.locator,
        token=event.token,
        size=len(event.content or b""),
        modified_at=event.event_at,
        doc_id=stored.doc_id if stored is not None and stored.version else None,
        version=stored.version if stored is not None else 0,
        live=live,
        known_token=stored.token if stored is not None else "",
        parsed_as=stored.parser_fingerprint if stored is not None else "",
        content_hash=stored.content_hash if stored is not None else b"",
        # A new document may reuse the name of a deleted one; the old ACL does not apply to it.
        acl=stored.acl if stored is not None and live else None,
        acl_inherited=stored is not None and live and stored.acl_inherited,
        mine=False,
    )


def _raw(event: Event) -> FetchedItem:
    item = SourceItem(event.locator, event.token, len(event.content or b""), event.event_at)
    return FetchedItem(item, event.content or b"", event.media_type, event.title, event.acl, event.metadata)
