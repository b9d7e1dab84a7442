"""Health of the platform, and what to do about problems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from console.clients.errors import ServiceError
from console.i18n import ENGLISH, N_, explain_reason
from console.presenters.formats import Translate
from rag_clients.dagster_answers import DagsterHealth, DagsterRun
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

_COVERED = frozenset({"source_stale", "deletions_held", "run_failed", "stream_halted"})
"""Alerts that repeat what the overview shows already."""


@dataclass(frozen=True, slots=True)
class HealthRow:
    """One component. `reason` is empty when it is healthy, else a sentence about `names` or the platform's words."""

    component: str
    healthy: bool
    reason: str = ""
    names: str = ""

    def why(self, t: Translate, language: str) -> str:
        """The reason in the reader's language, with its code."""
        if self.names:
            return t(self.reason, names=self.names)
        code = self.reason.partition(":")[0]
        said = explain_reason(language, code)
        return f"{code}: {said}" if said else self.reason


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
    """A task for an operator: a sentence with its values, the page where to act, and what to do there."""

    sentence: str
    page: str
    values: tuple[tuple[str, object], ...] = ()
    action: str = N_("Look")
    source: str = ""
    critical: bool = False
    since: int = 0
    """Unix time of the beginning; 0: not known."""


def health_rows(
    status: admin_pb2.GetStatusResponse | ServiceError,
    dagster: DagsterHealth | ServiceError,
    gateway: ServiceError | None,
) -> list[HealthRow]:
    """Every component in the order in which they depend on each other, each with the reason when it is not healthy."""
    if isinstance(status, ServiceError):
        rows = [_unavailable("query server", status)]
    else:
        rows = [HealthRow(item.name, item.healthy, "" if item.healthy else item.detail) for item in status.components]
        rows.append(HealthRow("query server", True))
    rows.append(_unavailable("gateway", gateway) if gateway else HealthRow("gateway", True))
    return [*rows, *_dagster_rows(dagster)]


def _dagster_rows(dagster: DagsterHealth | ServiceError) -> list[HealthRow]:
    if isinstance(dagster, ServiceError):
        return [_unavailable("Dagster", dagster)]
    silent, broken = ", ".join(dagster.silent_daemons), ", ".join(dagster.broken_locations)
    return [
        HealthRow("Dagster daemons", not silent, "no heartbeat: {names}" if silent else "", silent),
        HealthRow("Dagster code location", not broken, "does not load: {names}" if broken else "", broken),
    ]


def _unavailable(component: str, error: ServiceError) -> HealthRow:
    return HealthRow(component, False, "service unavailable, {names}", error.code)


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
    sources: Iterable[admin_pb2.SourceStatus],
    runs: Sequence[DagsterRun],
    *,
    alerts: Iterable[ops.Alert] = (),
    generations: Sequence[admin_pb2.Generation] = (),
) -> list[Todo]:
    """Tasks for an operator, the most urgent first. A source is one of them when its state says so."""
    found = [
        Todo(
            "{component} is not healthy: {reason}",
            "overview",
            (("component", row.component), ("reason", row)),
            critical=True,
        )
        for row in rows
        if not row.healthy
    ]
    troubled = [source for source in sources if source.condition.needs_attention]
    found += [_of_source(source) for source in sorted(troubled, key=lambda item: _URGENCY.index(_kind(item)))]
    found += _of_alerts(alerts, {source.name for source in troubled})
    found += [
        Todo("The gate refused the generation {generation}: {checks}", "index",
             (("generation", name), ("checks", ", ".join(checks))), "See the figures and decide")
        for name, checks in _refused(generations).items()
    ]  # fmt: skip
    failed = _failed_last(runs, generations) - {source.name.replace("-", "_") for source in troubled}
    if failed:
        values = (("names", ", ".join(sorted(failed)[:5])),)
        found.append(Todo("The last run failed: {names}", "pipeline", values, "See why and retry"))
    return found


ACTIONS = N_(
    {
        "failed": "See the reason and the remedy",
        "held": "Review and approve the deletions",
        "over_budget": "Delete documents or raise the budget",
        "stale": "See why and sync",
        "orphaned": "Restore its source file or delete its documents",
        "degraded": "Retry or discard what is in quarantine",
    }
)
"""Remedies of a source, by what is wrong with it."""
_CRITICAL = frozenset({"failed", "held", "over_budget"})
_URGENCY = ("failed", "held", "over_budget", "stale", "orphaned", "degraded")


def _kind(source: admin_pb2.SourceStatus) -> str:
    state = source.condition.state
    if state == admin_pb2.SOURCE_STATE_HELD:
        return "over_budget" if source.condition.reason == "QUOTA_EXCEEDED" else "held"
    if state == admin_pb2.SOURCE_STATE_STALE:
        return "stale"
    if state == admin_pb2.SOURCE_STATE_PAUSED and not source.condition.HasField("failing_since"):
        return "orphaned"
    return "degraded" if state == admin_pb2.SOURCE_STATE_DEGRADED else "failed"


def _of_alerts(alerts: Iterable[ops.Alert], listed: set[str]) -> list[Todo]:
    """An entry for each alert that no state says, of a source the most urgent one."""
    found: list[Todo] = []
    for item in sorted(alerts, key=lambda item: (item.severity != "critical", item.started_at.seconds)):
        if item.kind in _COVERED or item.source in listed:
            continue
        listed |= {item.source} if item.source else set()
        page = "sources" if item.source else "pipeline"
        found.append(
            Todo("{summary}", page, (("summary", item),), source=item.source, critical=item.severity == "critical",
                 since=item.started_at.seconds)
        )  # fmt: skip
    return found


def _of_source(source: admin_pb2.SourceStatus) -> Todo:
    page = "quality" if _kind(source) == "degraded" else "sources"
    condition = source.condition
    began = condition.failing_since if condition.HasField("failing_since") else condition.since
    return Todo("{condition}", page, (("condition", source),), ACTIONS[_kind(source)], source=source.name,
                critical=_kind(source) in _CRITICAL, since=began.seconds)  # fmt: skip


def freshness_rows(sources: Iterable[admin_pb2.SourceStatus], now: float) -> list[dict[str, Any]]:
    """One row per source, stale ones first: age and objective in seconds, and whether it is met."""
    rows = []
    for item in sources:
        completed, objective = item.last_complete_at.seconds, item.freshness_minutes * 60.0
        age = max(0.0, now - completed) if completed else None
        met = age <= objective if age is not None and objective else None
        rows.append(
            {"source": item.name, "met": met, "age": age, "streamed": item.streamed, "objective": objective or None,
             "documents": item.documents, "pending": item.pending}
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row["met"] is not False, row["source"]))


ALERTS = N_(
    {
        "run_failed": "a run failed",
        "check_blocked": "a blocking check failed",
        "source_stale": "the source was not compared in time",
        "deletions_held": "deletions wait for an approval",
        "documents_disappeared": "a large share of the documents disappeared",
        "poison_rate": "too many inputs could not be used",
        "stream_halted": "the stream stands still until an operator acts",
        "cursor_ahead": "rows are dated in the future and are left out",
        "index_damaged": "an index generation was damaged and is filled again; check its disk",
    }
)
"""Each kind of alert in the words of other languages; in English the platform's own summary says more."""


def alert_words(alert: ops.Alert, t: Translate, language: str) -> str:
    """Return what an alert says, in the reader's language."""
    said = ALERTS.get(alert.kind)
    if language == ENGLISH or said is None:
        return alert.summary
    return t("{name}: {condition}", name=alert.source, condition=t(said)) if alert.source else t(said)


def alert_rows(alerts: Iterable[ops.Alert], t: Translate, language: str) -> list[dict[str, Any]]:
    """One row per alert, critical ones first."""
    ordered = sorted(alerts, key=lambda item: (item.severity != "critical", -item.started_at.seconds))
    return [
        {"severity": item.severity, "kind": item.kind, "source": item.source,
         "summary": alert_words(item, t, language),
         "at": item.started_at.seconds}
        for item in ordered
    ]  # fmt: skip


_GATE_JOB = "generation_finish"


def _refused(generations: Iterable[admin_pb2.Generation]) -> dict[str, list[str]]:
    """Generations that wait because the gate found them wanting, and the checks that failed."""
    checked = {item.name: [check.name for check in item.checks if not check.passed] for item in generations
               if item.state == "ready"}  # fmt: skip
    return {name: checks for name, checks in checked.items() if checks}


def _failed_last(runs: Sequence[DagsterRun], generations: Iterable[admin_pb2.Generation]) -> set[str]:
    """Sources and jobs whose newest run failed. A run that ended with the gate's answer did its work."""
    answered = {item.name for item in generations if item.checks}
    newest: dict[str, DagsterRun] = {}
    for run in runs:
        if run.job != _GATE_JOB or run.partition not in answered:
            newest.setdefault(run.source or run.job, run)
    return {name for name, run in newest.items() if run.status == "FAILURE"}
