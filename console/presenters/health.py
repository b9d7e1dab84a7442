"""Health of the platform, and what to do about problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.clients.dagster_answers import DagsterHealth, Run
from console.clients.errors import ServiceError
from console.presenters.formats import duration
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

STALE_SECONDS = 25 * 3600.0
"""The objective of a source whose own is not known: by then the nightly reconcile has failed."""
_COVERED = frozenset({"source_stale", "deletions_held", "run_failed"})
"""Alerts that repeat what the overview shows already."""


@dataclass(frozen=True, slots=True)
class HealthRow:
    """One component; `reason` is empty when it is healthy."""

    component: str
    healthy: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all sources; `vectors` are points of the active generation."""

    documents: int = 0
    chunks: int = 0
    vectors: int = 0
    pending: int = 0
    quarantined: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Todo:
    """A task for an operator: a sentence with its values, and the page where to act."""

    sentence: str
    page: str
    values: tuple[tuple[str, object], ...] = ()


def health_rows(
    status: admin_pb2.GetStatusResponse | ServiceError,
    dagster: DagsterHealth | ServiceError,
    gateway: ServiceError | None,
) -> list[HealthRow]:
    """Every component in the order in which they depend on each other, each with the reason when it is not healthy."""
    if isinstance(status, ServiceError):
        rows = [HealthRow("query server", False, unavailable(status))]
    else:
        rows = [HealthRow(item.name, item.healthy, "" if item.healthy else item.detail) for item in status.components]
        rows.append(HealthRow("query server", True))
    rows.append(HealthRow("gateway", gateway is None, unavailable(gateway) if gateway else ""))
    return [*rows, *_dagster_rows(dagster)]


def _dagster_rows(dagster: DagsterHealth | ServiceError) -> list[HealthRow]:
    if isinstance(dagster, ServiceError):
        return [HealthRow("Dagster", False, unavailable(dagster))]
    silent, broken = ", ".join(dagster.silent_daemons), ", ".join(dagster.broken_locations)
    return [
        HealthRow("Dagster daemons", not silent, f"no heartbeat: {silent}" if silent else ""),
        HealthRow("Dagster code location", not broken, f"does not load: {broken}" if broken else ""),
    ]


def unavailable(error: ServiceError) -> str:
    """The text to show for a service that failed."""
    return f"service unavailable, {error.code}"


def totals(status: admin_pb2.GetStatusResponse) -> Totals:
    """The figures at the top of the page."""
    sources = status.sources
    return Totals(
        documents=sum(item.documents for item in sources),
        chunks=sum(item.chunks for item in sources),
        vectors=sum(item.points for item in status.generations if item.state == "active"),
        pending=sum(item.pending for item in sources),
        quarantined=sum(item.quarantined for item in sources),
        held=sum(item.held_deletions for item in sources),
    )


def todos(
    rows: Sequence[HealthRow],
    sources: Iterable[ops.SourceDetail],
    runs: Sequence[Run],
    quarantined: int,
    now: float,
    *,
    alerts: Iterable[ops.Alert] = (),
    objectives: Mapping[str, float] | None = None,
) -> list[Todo]:
    """Tasks for an operator, the most urgent first. `now` is in seconds since the epoch."""
    found = [
        Todo("{component} is not healthy: {reason}", "overview", (("component", row.component), ("reason", row.reason)))
        for row in rows
        if not row.healthy
    ]
    for source in sources:
        found.extend(_of_source(source, now, objective_of(source.name, objectives or {})))
    found += [
        Todo("Alert: {summary}", "sources" if item.source else "pipeline", (("summary", item.summary),))
        for item in alerts
        if item.kind not in _COVERED
    ]
    failed = _failed_last(runs)
    if failed:
        values = (("names", ", ".join(sorted(failed)[:5])),)
        found.append(Todo("The last run failed: {names}", "pipeline", values))
    if quarantined:
        found.append(Todo("Inputs in quarantine: {count}", "quality", (("count", quarantined),)))
    return found


def _of_source(source: ops.SourceDetail, now: float, objective: float) -> list[Todo]:
    name = ("name", source.name)
    found = []
    if source.held_deletions:
        values = (name, ("count", source.held_deletions))
        found.append(Todo("{name}: {count} held deletions need your decision", "sources", values))
    if is_stale(source.last_complete_at.seconds, now, objective):
        limit = ("limit", duration(objective))
        found.append(Todo("{name} is stale: no complete listing for more than {limit}", "sources", (name, limit)))
    return found


def objective_of(source: str, objectives: Mapping[str, float]) -> float:
    """How old, in seconds, a source may become; `objectives` are by asset group."""
    return objectives.get(source.replace("-", "_"), STALE_SECONDS)


def is_stale(completed: float, now: float, objective: float = STALE_SECONDS) -> bool:
    """Whether the last complete listing is older than the objective; a new source has that long to begin."""
    return bool(completed) and now - completed > objective


def freshness_rows(
    sources: Iterable[admin_pb2.SourceStatus], objectives: Mapping[str, float], now: float
) -> list[dict[str, Any]]:
    """One row per source, stale ones first: age and objective in seconds, and whether it is met."""
    rows = []
    for item in sources:
        completed, objective = item.last_complete_at.seconds, objective_of(item.name, objectives)
        met = not is_stale(completed, now, objective) if completed else None
        age = max(0.0, now - completed) if completed else None
        rows.append(
            {"source": item.name, "met": met, "age": age, "objective": objective, "documents": item.documents,
             "pending": item.pending}
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row["met"] is not False, row["source"]))


def alert_rows(alerts: Iterable[ops.Alert]) -> list[dict[str, Any]]:
    """One row per alert, critical ones first."""
    ordered = sorted(alerts, key=lambda item: (item.severity != "critical", -item.started_at.seconds))
    return [
        {"severity": item.severity, "kind": item.kind, "source": item.source, "summary": item.summary,
         "at": item.started_at.seconds}
        for item in ordered
    ]  # fmt: skip


def _failed_last(runs: Sequence[Run]) -> set[str]:
    newest: dict[str, Run] = {}
    for run in runs:
        newest.setdefault(run.source, run)
    return {source for source, run in newest.items() if run.status == "FAILURE"}
