"""Alert conditions, read from the database: held deletions, stale sources, failures, halted streams and more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rag_core.content.quality import Latest
from rag_core.content.streams import store as streams
from rag_core.errors import Reason
from rag_core.governance.audit import AuditEntry
from rag_core.ingestion.alerts.base import Alert, AlertKind
from rag_core.ingestion.alerts.store import Disappearance, SourceAlertState

_HALTED = "halted: "
"""Prefix of a halted stream's state in a worker's heartbeat."""


def held_deletions(states: Iterable[SourceAlertState]) -> Iterator[Alert]:
    """Deletions that wait for an operator."""
    for state in states:
        if state.held_deletions:
            yield Alert(
                _key(AlertKind.DELETIONS_HELD, state.tenant, state.name),
                AlertKind.DELETIONS_HELD,
                "critical",
                f"{state.held_deletions} documents of source {state.name} are gone at the source and wait for "
                f"`rag source approve-deletions {state.name}`",
                state.name,
                state.tenant,
                {"held": state.held_deletions},
                started_at=state.held_at,
            )


def disappeared_documents(found: Iterable[Disappearance]) -> Iterator[Alert]:
    """Deletions that were a large share of their source and too few to be held."""
    for one in found:
        yield Alert(
            _key(AlertKind.DOCUMENTS_DISAPPEARED, one.tenant, one.source),
            AlertKind.DOCUMENTS_DISAPPEARED,
            "warning",
            f"{one.documents} of {one.of} documents disappeared from source {one.source}",
            one.source,
            one.tenant,
            {"documents": one.documents, "of": one.of},
            started_at=one.at,
        )


def stale_sources(states: Iterable[SourceAlertState], minutes: Mapping[str, int], now: datetime) -> Iterator[Alert]:
    """Sources whose last complete run is older than their `freshness_minutes` (by source name)."""
    for state in states:
        allowed = minutes.get(state.name)
        if allowed is None or state.listed_at is None or now - state.listed_at <= timedelta(minutes=allowed):
            continue
        age = int((now - state.listed_at).total_seconds() // 60)
        yield Alert(
            _key(AlertKind.SOURCE_STALE, state.tenant, state.name),
            AlertKind.SOURCE_STALE,
            "warning",
            f"source {state.name} was last up to date {age} minutes ago; {allowed} are allowed",
            state.name,
            state.tenant,
            {"allowed_minutes": allowed},
        )


def dated_ahead(states: Iterable[SourceAlertState]) -> Iterator[Alert]:
    """Sources with rows dated more than a day in the future, which their cursor leaves out."""
    for state in states:
        if state.dated_ahead:
            yield Alert(
                _key(AlertKind.CURSOR_AHEAD, state.tenant, state.name),
                AlertKind.CURSOR_AHEAD,
                "warning",
                f"source {state.name}: {state.dated_ahead}",
                state.name,
                state.tenant,
            )


def over_failure_rate(results: Iterable[Latest]) -> Iterator[Alert]:
    """Sources whose last run quarantined more inputs than they allow."""
    for result in results:
        if result.exceeded:
            yield Alert(
                _key(AlertKind.POISON_RATE, result.tenant, result.source),
                AlertKind.POISON_RATE,
                "critical",
                f"{result.failed} of {result.tried} inputs of source {result.source} went to quarantine in its last "
                "run; "
                f"`rag quarantine list --source {result.source} --tenant {result.tenant}`",
                result.source,
                result.tenant,
                {"failed": result.failed, "tried": result.tried},
            )


def halted_streams(workers: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    """Streams, and single sources of them, that wait for an operator, from the heartbeats of live workers
    (`rag_core.content.streams.store.workers`)."""
    halted = {
        (name, str(stream["state"]).removeprefix(_HALTED))
        for worker in workers
        for name, stream in worker["details"].items()
        if str(stream.get("state", "")).startswith(_HALTED)
    }
    for name, reason in sorted(halted):
        kind = AlertKind.POISON_RATE if reason == Reason.POISON_RATE else AlertKind.STREAM_HALTED
        yield Alert(
            f"{kind}:stream/{name}",
            kind,
            "critical",
            f"the stream {name} stands still until an operator acts: {reason}; see `rag stream status`",
            name.removeprefix("kafka:"),
            details={"reason": reason},
        )
    yield from _halted_sources(workers)


def _halted_sources(workers: Iterable[Mapping[str, Any]]) -> Iterator[Alert]:
    halted = {(one["tenant"], one["source"], one["reason"]) for one in streams.halted_sources(workers)}
    for tenant, source, reason in sorted(halted):
        yield Alert(
            f"{AlertKind.POISON_RATE}:stream/{tenant}/{source}",
            AlertKind.POISON_RATE,
            "critical",
            f"most changes of source {source} cannot be used; they wait until its sender is corrected and the stream"
            " worker restarted: see `rag stream status`",
            source,
            tenant,
            {"reason": reason},
        )


def rebuilt_indexes(entries: Iterable[AuditEntry]) -> Iterator[Alert]:
    """Generations that the index process found damaged and began to rebuild, from the audit log.

    They are reported although they are served again, because the cause of the damage may still be there.
    """
    newest = {entry.target: entry for entry in reversed(list(entries))}
    for name, entry in sorted(newest.items()):
        yield Alert(
            f"{AlertKind.INDEX_DAMAGED}:{name}",
            AlertKind.INDEX_DAMAGED,
            "critical",
            f"the index generation {name} was damaged and is filled again from PostgreSQL; check its disk",
            started_at=entry.at,
        )


def _key(kind: AlertKind, tenant: str, source: str) -> str:
    return f"{kind}:{tenant}/{source}"
