"""The state machine of a source. Pure: the same rows give the same state to every face."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from rag_core.errors import Reason
from rag_core.http_client import Use, forbidden
from rag_core.ingestion.source_status.base import Facts, RunState, SourceRun, SourceState, SourceStatus, WaitingCause
from rag_core.reasons import remedy_of

SILENT = timedelta(seconds=120)
"""Dagster's knowledge is written every few seconds; when it is older than this, nobody knows what a run does."""
_ATTENTION = frozenset({SourceState.FAILED, SourceState.HELD, SourceState.STALE, SourceState.DEGRADED})


def decide(facts: Facts, now: datetime) -> SourceStatus:
    """The status of a source.

    What is under way comes first; then what waits for an operator; then what waits for the platform; then how good the
    source is. A failure stays known while the source is tried again.
    """
    status = (
        _misconfigured(facts)
        or _closed(facts)
        or (_running(facts, now) if facts.has_runs else _streaming(facts))
        or _held(facts)
        or _failed(facts)
        or _paused(facts)
        or _idle(facts, now)
    )
    failure = _failure(facts)
    if failure is None or status.state is SourceState.FAILED or facts.closed:
        return status
    return replace(status, reason=failure.reason, message=failure.message, remedy=failure.remedy,
                   failing_since=failure.since, run_id=failure.run_id)  # fmt: skip


def needs_attention(status: SourceStatus) -> bool:
    """Return whether an operator should look at it: also while a source that failed is tried again."""
    dead = status.waiting_for in (WaitingCause.DAGSTER, WaitingCause.STREAM_WORKER)
    orphaned = status.reason == Reason.SOURCE_NOT_FOUND and status.count > 0
    return status.state in _ATTENTION or status.failing_since is not None or dead or orphaned


def _misconfigured(facts: Facts) -> SourceStatus | None:
    if not facts.mistake:
        return None
    return _with_remedy(SourceStatus(SourceState.FAILED, reason=Reason.CONFIG_INVALID, message=facts.mistake))


def _closed(facts: Facts) -> SourceStatus | None:
    if not facts.closed:
        return None
    return _with_remedy(SourceStatus(SourceState.PAUSED, count=facts.pending, reason=facts.closed))


def _running(facts: Facts, now: datetime) -> SourceStatus | None:
    under_way = [run for run in facts.runs if run.state in (RunState.RUNNING, RunState.QUEUED)]
    if not under_way:
        return None
    if facts.observed_at is None or now - facts.observed_at > SILENT:
        return _waiting(WaitingCause.DAGSTER, since=facts.observed_at, reason=Reason.DAGSTER_UNAVAILABLE)
    running = [run for run in under_way if run.state is RunState.RUNNING]
    if not running:
        return _waiting(WaitingCause.RUN_SLOT, since=min(run.queued_at for run in under_way), ahead=facts.ahead)
    since = min(run.started_at or run.queued_at for run in running)
    return _stage(facts, since)


def _stage(facts: Facts, since: datetime) -> SourceStatus:
    texts = facts.texts
    if facts.turn is not None:
        return SourceStatus(
            SourceState.WAITING,
            since,
            texts.total - texts.embedded,
            waiting_for=WaitingCause.EMBEDDING,
            ahead=facts.turn.before,
            seconds_left=facts.turn.seconds,
        )
    if facts.listing:  # how much there is is not known, so a share of it would only fall
        return SourceStatus(SourceState.LISTING, since, facts.read)
    if texts.embedded < texts.total or (facts.unread and facts.read):
        # What is listed and not read yet is taken to have as many texts per document as what was read.
        total = texts.total * (1 + facts.unread / facts.read if facts.read else 1)
        left = (total - texts.embedded) / texts.per_second if texts.per_second > 0 else None
        percent = int(100 * texts.embedded / total) if total else 0
        return SourceStatus(SourceState.EMBEDDING, since, round(total) - texts.embedded, percent, left)
    if not facts.listed:
        return SourceStatus(SourceState.LISTING, since, facts.read)
    return SourceStatus(SourceState.INDEXING, since, facts.pending)


def _streaming(facts: Facts) -> SourceStatus | None:
    if facts.halted:
        return _with_remedy(SourceStatus(SourceState.FAILED, reason=facts.halted))
    if (refusal := _egress_refused(facts)) is not None:
        return refusal
    behind = facts.inbox + facts.pending
    if not facts.worker_alive and (behind or facts.kind != "push"):
        return _waiting(WaitingCause.STREAM_WORKER, count=behind)
    return SourceStatus(SourceState.INDEXING, count=behind) if behind else None


def _held(facts: Facts) -> SourceStatus | None:
    if not facts.held_deletions or facts.deletions_approved:
        return _over_budget(facts)
    return SourceStatus(
        SourceState.HELD, facts.held_at, facts.held_deletions, reason=Reason.MASS_DELETE_HELD,
        remedy=f"Review them, then `rag source approve-deletions {facts.name}`.",
    )  # fmt: skip


def _over_budget(facts: Facts) -> SourceStatus | None:
    """New documents wait until the tenant may store more; what is stored is kept up to date."""
    over = [run for run in facts.runs if run.state is RunState.FAILED and run.reason == Reason.QUOTA_EXCEEDED]
    if not over:
        return None
    return SourceStatus(
        SourceState.HELD, min(run.failing_since or run.queued_at for run in over), reason=Reason.QUOTA_EXCEEDED,
        message=over[-1].message or "",
        remedy=f"Delete documents or raise the budget (`rag budget set`), then `rag source sync {facts.name}`.",
    )  # fmt: skip


def _failed(facts: Facts) -> SourceStatus | None:
    failure = _failure(facts)
    ended = any(run.state is RunState.FAILED for run in facts.runs)
    return failure if ended or _egress_refused(facts) is not None else None


def _egress_refused(facts: Facts) -> SourceStatus | None:
    """Text waits that may not go to the embedding model; without such text an old refusal says nothing."""
    if facts.egress_refused_at is None or not facts.pending:
        return None
    since, message = facts.egress_refused_at, forbidden(Use.EMBED, facts.name).message
    return _with_remedy(
        SourceStatus(SourceState.FAILED, since, facts.pending, reason=Reason.EGRESS_FORBIDDEN, message=message,
                     failing_since=since)
    )  # fmt: skip


def _failure(facts: Facts) -> SourceStatus | None:
    if (refusal := _egress_refused(facts)) is not None:
        return refusal
    failing = [run for run in facts.runs if run.failing_since is not None]
    # A run that holds something back fails; that is a state of its own, and no failure once it is over. The same holds
    # for a run that met a suspension, when the tenant is active again.
    over = (Reason.MASS_DELETE_HELD, Reason.QUOTA_EXCEEDED, Reason.TENANT_SUSPENDED)
    failing = [run for run in failing if run.reason not in over]
    if not failing:
        return None
    first = min(failing, key=lambda run: (run.failing_since, run.shard))
    newest = max(failing, key=lambda run: run.queued_at)
    return _with_remedy(
        SourceStatus(SourceState.FAILED, first.failing_since, reason=_reason(newest), message=_message(newest),
                     failing_since=first.failing_since, run_id=newest.run_id)
    )  # fmt: skip


def _reason(run: SourceRun) -> str:
    return run.reason or Reason.INTERNAL


def _message(run: SourceRun) -> str:
    """Return what failed; of a defect the id of its run, under which Dagster and the log have the rest."""
    if _reason(run) != Reason.INTERNAL:
        return run.message or ""
    return f"{run.message or 'the run ended without a reason, as one that is killed does'} (run {run.run_id})"


def _paused(facts: Facts) -> SourceStatus | None:
    if not facts.configured:
        remedy = f"Restore its source file, or `rag source delete {facts.name} --tenant TENANT` with its documents."
        return SourceStatus(SourceState.PAUSED, None, facts.documents, reason=Reason.SOURCE_NOT_FOUND, remedy=remedy)
    if facts.paused_at is None or not facts.has_runs:
        return None
    return SourceStatus(SourceState.PAUSED, facts.paused_at, facts.pending)


def _idle(facts: Facts, now: datetime) -> SourceStatus:
    completed = facts.last_complete_at
    if facts.has_runs and facts.freshness_minutes and completed is not None:
        due = completed + timedelta(minutes=facts.freshness_minutes)
        if now > due:
            remedy = f"See `rag source history {facts.name}`, then `rag source sync {facts.name}`."
            return SourceStatus(SourceState.STALE, due, facts.pending, remedy=remedy)
    if facts.pending:
        return _waiting(WaitingCause.NEXT_RUN, count=facts.pending)
    if facts.held_deletions and facts.deletions_approved:
        waiting = _waiting(WaitingCause.DELETIONS, count=facts.held_deletions)
        return replace(waiting, remedy=f"`rag source sync {facts.name}` carries them out now.")
    # What was pushed was read: a source of pushes is there from its first document on.
    if completed is None and not facts.documents and not facts.quarantined and facts.kind != "push":
        return SourceStatus(SourceState.NEW)
    if facts.quarantined:
        remedy = f"See `rag quarantine list --source {facts.name} --tenant {facts.tenant}`."
        return SourceStatus(SourceState.DEGRADED, completed, facts.quarantined, remedy=remedy)
    return SourceStatus(SourceState.UP_TO_DATE, completed, facts.documents)


def _waiting(
    what: WaitingCause, *, since: datetime | None = None, count: int = 0, ahead: int = 0, reason: str = ""
) -> SourceStatus:
    return _with_remedy(SourceStatus(SourceState.WAITING, since, count, waiting_for=what, ahead=ahead, reason=reason))


def _with_remedy(status: SourceStatus) -> SourceStatus:
    return replace(status, remedy=remedy_of(status.reason, in_run=True) or status.remedy)
