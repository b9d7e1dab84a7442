"""Bring the stored documents of a shard up to date with its source, in steps that a run takes between its rounds."""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from rag_core.content.documents import store as documents
from rag_core.content.parsing import Parser
from rag_core.content.sources import (
    Changes,
    Connector,
    ListingResult,
    Scope,
    close_shared,
    deletion_store,
    listings,
    load_listing,
    load_whole_listing,
)
from rag_core.content.sources import listing_store as listing
from rag_core.content.sources import shared_listing_store as shared_listings
from rag_core.content.sources import store as sources
from rag_core.ingestion.pipeline import run_store as runs
from rag_core.ingestion.pipeline.base import RunRequired, SmallChanges, StageResult
from rag_core.ingestion.pipeline.deletions import (
    DeletionResult,
    delete_gone,
    delete_removed,
    listing_problem,
    soft_delete,
)
from rag_core.ingestion.pipeline.document_budget import DocumentBudget
from rag_core.ingestion.pipeline.outcomes import Batch
from rag_core.ingestion.pipeline.reading import Reader, ReadResult, parser_fingerprint
from rag_core.settings import Settings
from rag_tracing import openinference, span

STAGE = "documents"
_DUE_PAGE = 500
_PREVIEW = 10
_PARTS = ("added", "updated", "unchanged", "deleted", "quarantined", "skipped")


Publish = Callable[[Connection, Scope], None]
"""Applies committed changes to the index that need neither chunking nor embedding
(`rag_core.ingestion.pipeline.metadata_updates`)."""


@dataclass(frozen=True, slots=True)
class ReadLimit:
    """The end of one `DocumentSync.read`, whichever comes first: documents, characters of text or seconds."""

    documents: int
    chars: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Written:
    """Result of one `DocumentSync.read`: items, the documents stored for them, and the characters of their text."""

    items: int
    doc_ids: Sequence[uuid.UUID] = ()
    chars: int = 0


class DocumentSync:
    """Bring the stored documents of one shard up to date with the source, in steps: `open`, then `read` until it
    returns `None`, then `finish`; close it at the end. `connection` holds the lock of the shard all the time.

    With `changes` an `Incremental` connector (`rag_core.content.sources.base`) lists only the changes since the last
    run; documents it does not name are `absent`. When that may not suffice, everything is listed. Runs of several
    shards share one listing when they set the time of their request (`Scope.requested_at`).

    After each commit `publish` brings permissions and deletions to the index, before the index stage, and `on_commit`
    gets the counts.

    An item is not read when its version tag, parser and settings equal the stored ones. Results are committed in
    batches, so an interrupted run loses at most one batch. Counts: `read` with its parts `added`, `updated`,
    `unchanged`, `deleted`, `quarantined`, `skipped`; also `held` and `absent` (kept although not listed, so
    `unchanged`), `vanished`, `duplicates` (repeated locators) and `stale`; `copies`, the documents this run has written
    whose text another document of the source has too; and `disappeared` of the `disappeared_of` documents of the whole
    source, when some are missing from it and are not held.

    `problem` is `LISTING_INCOMPLETE` (nothing was deleted), `MASS_DELETE_HELD` (the deletions wait for an operator) or
    `QUOTA_EXCEEDED` (new documents were skipped, because the tenant may store no more).
    Raises `Unavailable` when the source or the database is unavailable.
    """

    def __init__(
        self,
        connection: Connection,
        connector: Connector,
        parser: Parser,
        scope: Scope,
        settings: Settings,
        *,
        changes: bool,
        only: SmallChanges | None = None,
        publish: Publish,
        on_commit: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._connection = connection
        self._connector = connector
        self._scope = scope
        self._settings = settings
        self._key = scope.key
        self._parser_fingerprint = parser_fingerprint(parser, scope.source)
        self._reader = Reader(
            connector,
            parser,
            parser_fingerprint=self._parser_fingerprint,
            workers=settings.parser_workers,
            max_bytes=settings.sync_batch_bytes,
            quality=scope.source.quality,
        )
        self._publish_to_index = publish
        self._on_commit = on_commit
        self._counts: Counter[str] = Counter()
        self._queue = listing.Queue()
        self._bytes = self._done = 0
        self._compared = self._named = self._added = 0
        self._budget = DocumentBudget(connection, scope.source.tenant)
        self._seconds = 0.0
        self._wants_changes = changes
        self._only = only
        self._partial = False
        self._listed = ListingResult()
        self._deletions = DeletionResult()
        self._preview: list[dict[str, str | int | float]] = []
        self._results: Generator[ReadResult, None, None] | None = None

    def open(self, early: Callable[[], object] | None = None) -> None:
        """List the source, queue the items to read, and delete what a complete listing does not name.

        `early` is called now and then while a long listing continues; it may `read`.
        """

        began = time.monotonic()

        def listed() -> None:
            if self._only is not None:
                self._compare()
                if time.monotonic() - began > self._only.seconds:
                    raise RunRequired
            elif early is not None:
                self._compare()
                paused = time.monotonic()
                early()
                self._seconds -= time.monotonic() - paused

        with self._timed("list"):
            listing.prepare(self._connection)
            error = self._list(listed)
            self._compare()
            self._settle_listing()
            if error is None:
                self._deletions = self._delete()

    def read(self, limit: ReadLimit | None = None) -> Written | None:
        """Read queued items up to the limit and store their documents; returns `None` when none is left."""
        with self._timed("read"):
            return self._read(limit)

    @property
    def queue(self) -> listing.Queue:
        """The items that are still to be read."""
        return self._queue

    def close(self) -> None:
        """End reading. Idempotent."""
        if self._results is not None:
            self._results.close()
            self._results = None

    def finish(self) -> StageResult:
        """Store the result of the stage with the run, and where the next listing of changes starts."""
        with self._timed("finish"):
            error, deletions, listed = self._listed.error, self._deletions, self._listed
            problem, message = listing_problem(error, deletions)
            counts = self._totals(deletions, clean=problem is None and not self._partial)
            if problem is None:
                problem, message = self._budget.problem()
        tenant, source, shard = self._key
        runs.record(
            self._connection,
            run_id=self._scope.run_id,
            tenant=tenant,
            source=source,
            shard=shard,
            stage=STAGE,
            counts=counts,
            seconds=self._seconds,
            complete=error is None,
            problem=problem,
        )
        if error is None:
            sources.finish(self._connection, tenant, source)
        if problem is None:
            listings.save(self._connection, self._scope, self._parser_fingerprint, listed.cursor)
        self._connection.commit()
        if self._scope.source.shards > 1:
            shared_listings.drop_unneeded(self._connection, tenant, source)
        preview, token = self._preview, listed.version_tag
        return StageResult(
            STAGE, counts, self._seconds, self._bytes, preview, problem, message, token, outcomes=listed.outcomes
        )

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            with span(f"stage documents: {what}", openinference.CHAIN):
                yield
        finally:
            self._seconds += time.monotonic() - started

    def _list(self, listed: Callable[[], None]) -> str | None:
        """Load the listing into its table; returns why it is incomplete, `None` when it is complete."""
        changes = self._changes()
        self._connection.commit()
        if changes is not None:
            self._listed = load_listing(self._connection, self._scope.source, changes)
            self._partial = self._listed.error is not None or listings.fits(self._connection, changes, self._scope)
            if not self._partial:
                listing.clear(self._connection)
        if self._partial:
            close_shared(self._connection, self._scope.source)
        else:
            self._listed = load_whole_listing(self._connection, self._connector, self._scope, listed=listed)
        self._counts["duplicates"] = self._listed.duplicates
        return self._listed.error

    def _changes(self) -> Changes | None:
        if not self._wants_changes:
            return None
        attempts = self._settings.parser_attempts
        return listings.open_changes(
            self._connection,
            self._connector,
            self._scope,
            parser_fingerprint=self._parser_fingerprint,
            attempts=attempts,
        )

    def _compare(self) -> None:
        """Compare the entries that were listed since the last call."""
        before = listing.queue(self._connection)
        known = listing.compare(
            self._connection,
            *self._key,
            parser_fingerprint=self._parser_fingerprint,
            run_id=self._scope.run_id,
            attempts=self._settings.parser_attempts,
            after=self._compared,
        )
        self._compared = listing.last_entry(self._connection)
        self._queue += listing.queue(self._connection) - before
        left_out = self._budget.leave_out(self._queue, self._added)
        self._queue -= left_out
        self._require_small()
        self._counts["skipped"] += left_out.items
        self._connection.commit()
        self._named += known.pop("named")
        self._counts["updated"] += known.pop("changed", 0)
        known.pop("due", 0)
        self._counts.update(known)

    def _require_small(self) -> None:
        only = self._only
        if only is not None and (self._queue.items > only.items or self._queue.bytes > only.bytes):
            raise RunRequired

    def _settle_listing(self) -> None:
        """Apply what the listing says without reading an item: empty items, and problems that came or went."""
        emptied = listing.now_empty(self._connection, *self._key)
        if emptied:
            soft_delete(self._connection, self._scope, emptied)
        listing.record_problems(
            self._connection, *self._key, parser_fingerprint=self._parser_fingerprint, run_id=self._scope.run_id
        )
        self._connection.commit()
        self._publish()

    def _read(self, limit: ReadLimit | None) -> Written | None:
        batch = Batch(self._scope, self._parser_fingerprint)
        ids: list[uuid.UUID] = []
        chars, until = 0, time.monotonic() + (limit.seconds if limit is not None else math.inf)
        first = committed = self._done
        for read in self._reads():
            self._done += 1
            self._queue -= listing.Queue.of(read.task)
            batch.add(read)
            full = limit is not None and (
                self._done - first >= limit.documents or chars + batch.chars >= limit.chars or time.monotonic() >= until
            )
            if full:
                break
            if len(batch) >= self._settings.sync_batch_documents or batch.chars >= self._settings.sync_batch_bytes:
                chars, committed = chars + batch.chars, self._done
                ids += self._commit(batch)
        if committed < self._done:
            chars += batch.chars
            ids += self._commit(batch)
        return Written(self._done - first, ids, chars) if self._done > first else None

    def _commit(self, batch: Batch) -> list[uuid.UUID]:
        ids = batch.doc_ids
        counts = batch.commit(self._connection)
        self._added += counts["added"]
        self._counts.update(counts)
        self._on_commit(counts)
        self._publish()
        return ids

    def _publish(self) -> None:
        self._publish_to_index(self._connection, self._scope)

    def _reads(self) -> Iterator[ReadResult]:
        """Results of queued items. Items in progress when the caller stops are the first of the next call."""
        drained = False
        while not drained:
            # What earlier calls have in progress took all that was queued then: more may have been listed since.
            drained = self._results is None
            if self._results is None:
                self._results = self._reader.read(listing.take_tasks(self._connection, _DUE_PAGE))
            for read in self._results:
                self._bytes += read.size
                if len(self._preview) < _PREVIEW:
                    self._preview.append(read.preview())
                yield read
            self._results = None

    def _delete(self) -> DeletionResult:
        if self._partial:
            deletions = delete_removed(self._connection, self._scope, self._settings, committed=self._publish)
            self._counts["deleted"] += deletions.deleted
            return deletions
        listing.forget_absent_failures(self._connection, *self._key)
        self._connection.commit()
        alive = documents.live(self._connection, self._scope.source.tenant, self._scope.source.name)
        # A shard's listing is compared with its own rows only; documents of other shards need `search`.
        search = self._scope.source.shards > 1 or self._named != alive - self._added
        deletions = delete_gone(self._connection, self._scope, self._settings, search=search, committed=self._publish)
        self._counts["deleted"] += deletions.deleted
        return deletions

    def _totals(self, deletions: DeletionResult, *, clean: bool) -> dict[str, int]:
        mine, others = (
            (0, 0) if clean else deletion_store.missing_from_listing(self._connection, *self._key, self._scope.run_id)
        )
        self._counts["updated"] += mine
        self._counts["unchanged"] += others
        counts = {name: self._counts[name] for name in (*_PARTS, "vanished", "duplicates", "stale")}
        counts["held"] = deletions.held
        written = self._counts["added"] + self._counts["updated"]
        if copies := written and documents.count_copies(self._connection, *self._key, self._scope.run_id):
            counts["copies"] = copies
        if deletions.disappeared:
            counts |= {"disappeared": deletions.disappeared, "disappeared_of": deletions.disappeared_of}
        counts["absent"] = mine + others - deletions.held
        listed = listing.entries(self._connection, self._scope.shard)
        counts["read"] = listed + deletions.deleted + mine + others
        return counts
