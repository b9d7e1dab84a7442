"""The words for each status. The console translates these sentences; the others print them."""

from __future__ import annotations

from datetime import UTC, datetime

from rag_core.errors import Reason
from rag_core.ingestion.source_status.base import SourceState, SourceStatus, WaitingCause

SENTENCES: dict[str, str] = {
    "new": "new: not read yet",
    "listing": "listing: {count} new or changed documents so far",
    "embedding": "embedding {percent} %",
    "embedding.left": "embedding {percent} % ({left} left)",
    "indexing": "indexing {count} documents",
    "indexing.checks": "checking what was indexed",
    "waiting.run_slot": "waiting for a free run slot",
    "waiting.run_slot.ahead": "waiting for a free run slot, sources before it: {ahead}",
    "waiting.embedding": "waiting for embedding",
    "waiting.embedding.ahead": "waiting for embedding, sources before it: {ahead}",
    "waiting.embedding.left": "waiting for embedding, sources before it: {ahead}, about {left}",
    "waiting.next_run": "waiting for the next run: {count} documents are not searchable yet",
    "waiting.deletions": "waiting for the next run: {count} approved deletions",
    "waiting.stream_worker": "waiting for a stream worker: {count} changes",
    "waiting.dagster": "waiting for Dagster, which has not reported since {since}",
    "waiting.dagster.never": "waiting for Dagster, which has not reported yet",
    "up_to_date": "up to date",
    "stale": "stale since {since}",
    "degraded": "degraded: {count} quarantined",
    "failed": "failed: {reason}",
    "failed.since": "failed since {since}: {reason}",
    "paused": "paused since {since}",
    "paused.suspended": "paused: its tenant is suspended",
    "paused.erased": "paused: its tenant is being erased",
    "paused.unconfigured": "no source file configures it any more",
    "paused.orphaned": "no source file configures it any more: {count} documents stay searchable",
    "held": "held for approval: {count} deletions",
    "held.budget": "held: the tenant's budget of stored documents is used up",
}
"""By key; the key of a status is chosen by `sentence_of`."""


def describe(status: SourceStatus) -> str:
    """One line for people, in English."""
    return sentence_of(status).format(
        count=f"{status.count:,}", percent=status.percent, left=duration(status.seconds_left or 0.0),
        ahead=status.ahead, since=moment(status.since), reason=status.reason,
    )  # fmt: skip


def sentence_of(status: SourceStatus) -> str:
    """The sentence of a status, with its fields in braces."""
    return SENTENCES[_key(status)]


def _key(status: SourceStatus) -> str:
    state = status.state
    if state is SourceState.WAITING:
        return _waiting(status)
    if state is SourceState.EMBEDDING and status.seconds_left is not None:
        return "embedding.left"
    if state is SourceState.INDEXING and not status.count:
        return "indexing.checks"
    if state is SourceState.HELD and status.reason == Reason.QUOTA_EXCEEDED:
        return "held.budget"
    if state is SourceState.FAILED and status.since is not None:
        return "failed.since"
    if state is SourceState.PAUSED and status.reason == Reason.TENANT_SUSPENDED:
        return "paused.suspended"
    if state is SourceState.PAUSED and status.reason == Reason.TENANT_ERASED:
        return "paused.erased"
    if state is SourceState.PAUSED and status.since is None:
        return "paused.orphaned" if status.count else "paused.unconfigured"
    return str(state)


def _waiting(status: SourceStatus) -> str:
    key = f"waiting.{status.waiting_for}"
    if status.waiting_for is WaitingCause.DAGSTER:
        return key if status.since is not None else f"{key}.never"
    if not status.ahead:
        return key
    known = status.waiting_for is WaitingCause.EMBEDDING and status.seconds_left is not None
    return f"{key}.left" if known else f"{key}.ahead"


def duration(seconds: float) -> str:
    """A length of time as people say it: 40 s, 6 min, 3 h 20 min, 5 d."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 48 * 60 else f"{round(minutes / 1440)} d"


def moment(at: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at is not None else ""
