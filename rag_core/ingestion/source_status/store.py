"""Rows behind the status of sources: what Dagster knows of them, their newest runs, and everything that is pending."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, text

from rag_core.content.sources import problem_store
from rag_core.content.streams import inbox_store
from rag_core.content.streams import store as streams
from rag_core.database.tables.content import source_runs, source_states, sources
from rag_core.errors import Reason
from rag_core.governance.tenants import TenantState
from rag_core.governance.tenants import store as tenant_store
from rag_core.ingestion.generations import SourceCounts, status_store
from rag_core.ingestion.pipeline import Coverage, progress_store, waiting_runs
from rag_core.ingestion.source_status.base import EmbeddingTurn, Facts, RunState, SourceRun, SourceStatus, Texts
from rag_core.ingestion.source_status.machine import decide
from rag_core.ingestion.source_status.observable_store import SourceName

HEARTBEAT_SECONDS = 30.0
"""A stream worker without a heartbeat for this long is taken for dead."""
_PUSH = "push"
_HALTED = "halted: "
_CLOSED = {
    TenantState.SUSPENDED: str(Reason.TENANT_SUSPENDED),
    TenantState.ERASING: str(Reason.TENANT_ERASED),
    TenantState.ERASED: str(Reason.TENANT_ERASED),
}


# What Dagster knows, written by its sensor.


@dataclass(frozen=True, slots=True)
class Observation:
    """A configured source as Dagster sees it.

    `follows_changes`: its change sensor is on. `paused`: its sensor and its schedule are all off.
    """

    tenant: str
    source: str
    kind: str
    has_runs: bool
    follows_changes: bool
    paused: bool
    freshness_minutes: int | None


# Rows in which nothing has changed are written every 30 s, so that all of them at once cost nothing at rest.
_OBSERVE = text("""
INSERT INTO rag.source_states AS s (tenant, source, kind, configured, has_runs, automatic, paused_at,
                                    freshness_minutes, observed_at)
SELECT tenant, source, kind, true, has_runs, follows_changes, CASE WHEN paused THEN now() END, freshness_minutes, now()
FROM jsonb_to_recordset(CAST(:found AS jsonb)) AS f(
    tenant text, source text, kind text, has_runs boolean, follows_changes boolean, paused boolean,
    freshness_minutes integer)
ON CONFLICT (tenant, source) DO UPDATE
SET kind = excluded.kind, configured = true, has_runs = excluded.has_runs, automatic = excluded.automatic,
    paused_at = CASE WHEN excluded.paused_at IS NOT NULL THEN coalesce(s.paused_at, now()) END,
    freshness_minutes = excluded.freshness_minutes, observed_at = now()
WHERE s.observed_at IS NULL OR s.observed_at < now() - interval '30 seconds'
   OR (s.kind, s.configured, s.has_runs, s.automatic, s.paused_at IS NULL, s.freshness_minutes) IS DISTINCT FROM
      (excluded.kind, true, excluded.has_runs, excluded.automatic, excluded.paused_at IS NULL,
       excluded.freshness_minutes)
""")
_UNCONFIGURED = text("""
UPDATE rag.source_states SET configured = false, observed_at = now()
WHERE configured AND (tenant, source) NOT IN (SELECT * FROM unnest(CAST(:tenants AS text[]), CAST(:sources AS text[])))
""")
# Nobody reports how a run of a source that is not configured any more ended; others would wait behind it for ever.
_FORGET_RUNS = text("""
DELETE FROM rag.source_runs r WHERE r.state IN ('queued', 'running') AND NOT EXISTS (
    SELECT FROM rag.source_states s WHERE s.tenant = r.tenant AND s.source = r.source AND s.configured)
""")
# A source that never held a document and is configured no more leaves nothing that a status could be about.
_FORGET = text("""
DELETE FROM rag.source_states s WHERE NOT s.configured AND NOT EXISTS (
    SELECT FROM rag.sources o WHERE o.tenant = s.tenant AND o.name = s.source)
""")


def observe(connection: Connection, found: Sequence[Observation]) -> None:
    """Store what Dagster knows of every configured source; others are marked as not configured."""
    rows = [{name: getattr(one, name) for name in Observation.__slots__} for one in found]
    connection.execute(_OBSERVE, {"found": json.dumps(rows)})
    keys = {"tenants": [one.tenant for one in found], "sources": [one.source for one in found]}
    connection.execute(_UNCONFIGURED, keys)
    connection.execute(_FORGET_RUNS)
    connection.execute(_FORGET)


# An older run never replaces a newer one. A failure is remembered until a run succeeds or an operator cancels one.
_RECORD = text("""
INSERT INTO rag.source_runs AS r (tenant, source, shard, run_id, state, reason, message, queued_at, started_at,
                                  ended_at, failing_since)
VALUES (:tenant, :source, :shard, :run_id, :state, :reason, :message, :queued_at, :started_at, :ended_at,
        CASE WHEN :state = 'failed' THEN CAST(:ended_at AS timestamptz) END)
ON CONFLICT (tenant, source, shard) DO UPDATE
SET run_id = excluded.run_id, state = excluded.state, queued_at = excluded.queued_at, started_at = excluded.started_at,
    ended_at = excluded.ended_at,
    failing_since = CASE WHEN excluded.state IN ('succeeded', 'canceled') THEN NULL
                         ELSE coalesce(r.failing_since, excluded.failing_since) END,
    reason = CASE WHEN excluded.state IN ('queued', 'running') THEN r.reason ELSE excluded.reason END,
    message = CASE WHEN excluded.state IN ('queued', 'running') THEN r.message ELSE excluded.message END
WHERE r.queued_at <= excluded.queued_at AND (r.run_id, r.state) IS DISTINCT FROM (excluded.run_id, excluded.state)
""")


def record_runs(connection: Connection, tenant: str, source: str, runs: Iterable[SourceRun]) -> None:
    """Store the newest run of shards."""
    for run in runs:
        values = {name: getattr(run, name) for name in SourceRun.__slots__ if name != "failing_since"}
        connection.execute(_RECORD, {**values, "tenant": tenant, "source": source, "state": str(run.state)})


def known_runs(connection: Connection) -> dict[tuple[str, str, int], tuple[str, RunState]]:
    """Run id and state of the newest run that is recorded, by tenant, source and shard."""
    columns = source_runs.c
    found = connection.execute(select(columns.tenant, columns.source, columns.shard, columns.run_id, columns.state))
    return {(row.tenant, row.source, row.shard): (row.run_id, RunState(row.state)) for row in found}


# The status of sources.


def clock(connection: Connection) -> datetime:
    """The database's clock now, by which ages are judged."""
    moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment


@dataclass(frozen=True, slots=True)
class SourceReport:
    """Counts and status of a source. `freshness_minutes`: the age at which it is stale, `None` for never."""

    counts: SourceCounts
    status: SourceStatus
    coverage: Coverage
    has_runs: bool = True
    freshness_minutes: int | None = None
    configured: bool = True

    @property
    def orphaned(self) -> bool:
        """True when it has documents that nothing keeps up to date: no source file configures it any more."""
        return not self.configured and self.counts.documents > 0


def read(connection: Connection, tenant: str) -> tuple[SourceReport, ...]:
    """The sources of a tenant by name, those that were configured and not read yet among them."""
    return tuple(_reports(connection, tenant))


def read_all(connection: Connection) -> Iterator[tuple[str, SourceReport]]:
    """The sources of every tenant, each with its tenant."""
    return ((report.counts.tenant, report) for report in _reports(connection, None))


def orphaned(connection: Connection) -> list[tuple[str, SourceReport]]:
    """The sources whose documents nothing keeps up to date, each with its tenant."""
    return [(tenant, report) for tenant, report in read_all(connection) if report.orphaned]


def _reports(connection: Connection, tenant: str | None) -> Iterator[SourceReport]:
    """The sources of one tenant, or of all, by tenant and name."""
    now = clock(connection)
    counts = {(row.tenant, row.name): row for row in status_store.source_counts(connection, tenant)}
    states = _owned(select(source_states), source_states.c.tenant, tenant)
    known = {(row.tenant, row.source): row for row in connection.execute(states)}
    for key, row in known.items():
        counts.setdefault(key, SourceCounts(row.source, row.kind, tenant=row.tenant))
    shared = _Facts(connection, tenant, counts.values())
    for owner, name in shared.mistakes:
        if owner:  # a file that does not say whose it is has no source
            counts.setdefault((owner, name), SourceCounts(name, "", tenant=owner))
    for key in sorted(counts):
        facts = shared.of(counts[key], known.get(key))
        status, coverage = decide(facts, now), shared.coverage_of(key)
        yield SourceReport(counts[key], status, coverage, facts.has_runs, facts.freshness_minutes, facts.configured)


def _owned(rows: Select[Any], column: ColumnElement[str], tenant: str | None) -> Select[Any]:
    return rows if tenant is None else rows.where(column == tenant)


class _Facts:
    """Reads what all sources of a tenant, or of all tenants, share once."""

    def __init__(self, connection: Connection, tenant: str | None, counts: Iterable[SourceCounts]) -> None:
        self._connection = connection
        columns = sources.c
        approved = columns.deletions_approved_at >= columns.held_at
        deletions = select(
            columns.tenant,
            columns.name,
            columns.held_at,
            func.coalesce(approved, False).label("approved"),
            columns.egress_refused_at,
        )
        owned = _owned(deletions, columns.tenant, tenant)
        self._held = {(row.tenant, row.name): row for row in connection.execute(owned)}
        self._closed = tenant_store.closed(connection)
        self._runs = _runs(connection)
        self._inbox = inbox_store.pending_by_source(connection, tenant)
        self._workers = streams.workers(connection, within_seconds=HEARTBEAT_SECONDS)
        self._coverage = {(one.tenant, one.source): one for one in progress_store.coverage(connection, counts)}
        self._turns = {(one.tenant, one.source): one for one in waiting_runs(connection)}
        self.mistakes = {(one.tenant, one.source): str(one) for one in problem_store.of(connection, tenant)}

    def coverage_of(self, source: SourceName) -> Coverage:
        return self._coverage.get(source) or Coverage(*source)

    def of(self, counts: SourceCounts, known: Row[Any] | None) -> Facts:
        key = (counts.tenant, counts.name)
        runs = tuple(self._runs.get(key, ()))
        deletions = self._held.get(key)
        texts, read, listing, listed = self._progress(key, [run for run in runs if run.state is RunState.RUNNING])
        turn = self._turns.get(key)
        stream = "inbox" if counts.kind == _PUSH else f"kafka:{counts.name}"
        return Facts(
            name=counts.name,
            kind=counts.kind,
            tenant=counts.tenant,
            documents=counts.documents,
            pending=counts.pending,
            quarantined=counts.quarantined,
            held_deletions=counts.held_deletions,
            held_at=deletions.held_at if deletions is not None else None,
            deletions_approved=bool(deletions is not None and deletions.approved),
            last_complete_at=counts.last_complete_at,
            has_runs=counts.kind != _PUSH and (known is None or known.has_runs),
            configured=known is None or known.configured,
            paused_at=known.paused_at if known is not None else None,
            freshness_minutes=known.freshness_minutes if known is not None else None,
            observed_at=known.observed_at if known is not None else None,
            runs=runs,
            texts=texts,
            turn=EmbeddingTurn(turn.before, turn.seconds) if turn is not None else None,
            read=read,
            unread=self.coverage_of(key).unread,
            listing=listing,
            listed=listed,
            ahead=_ahead(self._runs, runs, key),
            inbox=self._inbox.get(key, 0),
            worker_alive=bool(self._workers),
            halted=_halted(self._workers, stream, key),
            mistake=self.mistakes.get(key, ""),
            egress_refused_at=deletions.egress_refused_at if deletions is not None else None,
            closed=_CLOSED.get(self._closed.get(counts.tenant, TenantState.ACTIVE), ""),
        )

    def _progress(self, source: SourceName, running: Sequence[SourceRun]) -> tuple[Texts, int, bool, bool]:
        """Asked only for sources with a run: it reads what the run works on."""
        if not running:
            return Texts(), 0, False, False
        target = self._connection.execute(_TARGET).one_or_none()
        params = {
            "tenant": source[0],
            "source": source[1],
            "runs": [run.run_id for run in running],
            "generation": target.name if target else "",
            "chunker": target.chunker if target else "",
            "embedder": target.embedder if target else "",
            "seconds": _RATE_WINDOW.total_seconds(),
        }
        row = self._connection.execute(_TEXTS, params).one()
        rate = row.recent / max(1.0, float(row.span or 0.0)) if row.recent else 0.0
        listing, listed = self._connection.execute(_LISTED, params).one()
        return Texts(row.texts, row.embedded, rate), row.read, listing, listed == len(running)


def _runs(connection: Connection) -> dict[tuple[str, str], list[SourceRun]]:
    found: defaultdict[tuple[str, str], list[SourceRun]] = defaultdict(list)
    for row in connection.execute(select(source_runs).order_by(source_runs.c.shard)):
        values = {name: getattr(row, name) for name in SourceRun.__slots__ if name != "state"}
        found[row.tenant, row.source].append(SourceRun(state=RunState(row.state), **values))
    return found


def _ahead(
    everyone: Mapping[tuple[str, str], Sequence[SourceRun]], runs: Sequence[SourceRun], own: tuple[str, str]
) -> int:
    """Count the other sources that run now or were queued before. Whose they are is not said."""
    queued = [run.queued_at for run in runs if run.state is RunState.QUEUED]
    if not queued:
        return 0
    first = min(queued)
    return sum(
        any(run.state is RunState.RUNNING or (run.state is RunState.QUEUED and run.queued_at < first) for run in theirs)
        for key, theirs in everyone.items()
        if key != own
    )


def _halted(workers: Sequence[Mapping[str, Any]], stream: str, source: tuple[str, str]) -> str:
    """The reason for which a source or its stream waits for an operator; empty when neither does."""
    states = [str(worker["details"].get(stream, {}).get("state", "")) for worker in workers]
    reasons = [state.removeprefix(_HALTED) for state in states if state.startswith(_HALTED)]
    reasons += [one["reason"] for one in streams.halted_sources(workers) if (one["tenant"], one["source"]) == source]
    return next(iter(reasons), "")


_RATE_WINDOW = timedelta(seconds=60)
# The generation that searches read, before the first one the one that is being built.
_TARGET = text("""
SELECT name, chunker, embedder FROM rag.generations WHERE state IN ('active', 'building')
ORDER BY state, created_at DESC LIMIT 1
""")
# Texts of what the runs have stored, and of what else is pending; before the first generation of any chunker.
_TEXTS = text("""
WITH stored AS MATERIALIZED (
    SELECT d.doc_id FROM rag.documents d
    WHERE d.tenant = :tenant AND d.source = :source AND d.deleted_at IS NULL AND d.run_id = ANY(:runs)
), work AS (
    SELECT doc_id FROM stored
    UNION
    SELECT p.doc_id FROM rag.pending_index(:generation) p
    WHERE p.tenant = :tenant AND p.source = :source AND NOT p.deleted
), texts AS (
    SELECT DISTINCT c.text_hash FROM work JOIN rag.chunks c USING (doc_id)
    WHERE c.chunker = :chunker OR :chunker = ''
), vectors AS (
    SELECT t.text_hash, (
        SELECT min(e.created_at) FROM rag.embeddings e
        WHERE e.text_hash = t.text_hash AND (e.embedder = :embedder OR :embedder = '')) AS made_at
    FROM texts t
), recent AS (
    SELECT made_at FROM vectors WHERE made_at > now() - make_interval(secs => :seconds)
)
SELECT count(*) AS texts, count(made_at) AS embedded, (SELECT count(*) FROM stored) AS read,
       (SELECT count(*) FROM recent) AS recent,
       (SELECT extract(epoch FROM now() - min(made_at)) FROM recent) AS span
FROM vectors
""")
_LISTED = text("""
SELECT EXISTS (SELECT FROM rag.reading_progress
               WHERE tenant = :tenant AND source = :source AND run_id = ANY(:runs) AND listing),
       count(DISTINCT run_id)
FROM rag.run_stages
WHERE run_id = ANY(:runs) AND tenant = :tenant AND source = :source AND stage = 'documents'
""")
