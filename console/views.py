"""From answers of the platform to what a page shows. Pure functions: no Streamlit, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from console.clients import DagsterHealth, Run, ServiceError
from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2

OK = "healthy"
NOT_OK = "not healthy"

ABSTENTIONS = {
    "NO_RESULTS": "Nothing you may see matches this question.",
    "NOT_SUPPORTED": "The sources do not answer this question.",
}


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
    """What is shown for a part that failed."""
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


def source_rows(status: admin_pb2.GetStatusResponse) -> list[dict[str, object]]:
    """One table row per source."""
    return [
        {
            "source": item.name,
            "kind": item.kind,
            "documents": item.documents,
            "chunks": item.chunks,
            "pending": item.pending,
            "quarantined": item.quarantined,
            "held deletions": item.held_deletions,
            "last complete": _moment(item.last_complete_at.seconds or None),
        }
        for item in status.sources
    ]


def run_rows(runs: Iterable[Run], now: float) -> list[dict[str, object]]:
    """One table row per run. `now` is in seconds since the epoch."""
    return [
        {
            "job": run.job,
            "status": run.status.lower(),
            "started": _moment(run.started),
            "seconds": round((run.ended or now) - run.started, 1) if run.started else None,
            "run": run.run_id[:8],
        }
        for run in runs
    ]


def citation_lines(citations: Sequence[query_pb2.Citation]) -> list[str]:
    """One block of plain text per citation: number, title, place, quote. Control characters are made visible."""
    return [
        plain(
            f"[{item.number}] {item.title or item.locator}\n"
            f"    {item.source}: {item.locator}, version {item.version}, characters {item.start} to {item.end}\n"
            f"    “{item.quote}”"
        )
        for item in citations
    ]


def outcome_text(final: query_pb2.AnswerFinal) -> str:
    """What is said when an answer did not come, empty when it did."""
    kind = final.WhichOneof("outcome")
    if kind == "abstained":
        return ABSTENTIONS.get(final.abstained.reason, "There is no answer to this question.")
    if kind == "failed":
        return f"The answer broke off: {unavailable(ServiceError('query service', final.failed.reason))}."
    return ""


def plain(text: str) -> str:
    """Text with every character that could steer a display (controls, bidirectional overrides) written out."""
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\u{ord(char):04x}" for char in text)


def _moment(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC" if seconds else "never"
