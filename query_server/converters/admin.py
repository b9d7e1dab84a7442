"""Messages of admin.v1.AdminService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from query_server.converters.fields import message_of
from query_server.handlers.admin.overview import ComponentStatus, GenerationStatus, Status
from ragproto.admin.v1 import admin_pb2 as pb

if TYPE_CHECKING:
    from rag_core.ingestion.promotion import Forecast, PromotionResult
    from rag_core.ingestion.source_status import SourceReport, SourceStatus


def from_status(status: Status) -> pb.GetStatusResponse:
    """The snapshot as a message."""
    return pb.GetStatusResponse(
        components=map(_component, status.components),
        sources=map(_source, status.sources),
        generations=map(_generation, status.generations),
        server_version=status.server_version,
        source_problems=[message_of(pb.SourceProblem, one, file=one.place) for one in status.problems],
    )


def _component(component: ComponentStatus) -> pb.Component:
    return message_of(pb.Component, component)


def _source(report: SourceReport) -> pb.SourceStatus:
    counts, coverage = report.counts, report.coverage
    return message_of(
        pb.SourceStatus,
        counts,
        condition=_condition(report.status),
        streamed=not report.has_runs,
        freshness_minutes=report.freshness_minutes or 0,
        searchable=coverage.searchable,
        unread=coverage.unread,
        coverage=coverage.share,
    )


def _condition(status: SourceStatus) -> pb.SourceCondition:
    from rag_core.ingestion.source_status import describe, needs_attention, sentence_of

    return message_of(
        pb.SourceCondition,
        status,
        state=f"SOURCE_STATE_{status.state.name}",
        needs_attention=needs_attention(status),
        summary=describe(status),
        sentence=sentence_of(status),
    )


def _generation(status: GenerationStatus) -> pb.Generation:
    spec, rows = status.spec, status.row
    indexed: dict[str, Any] = {"name": spec.name, "state": status.state, "points": status.points}
    indexed |= {"embedder": spec.embedder, "chunker": spec.chunker, "dimensions": spec.dimensions}
    if rows is None:
        return pb.Generation(**indexed)
    row = rows.generation
    return message_of(
        pb.Generation,
        row,
        **indexed,
        documents=rows.totals.documents,
        pending=rows.totals.pending,
        frozen=row.not_reproducible,
        settings={name: str(value) for name, value in row.settings.items() if value is not None},
        events=[message_of(pb.GenerationEvent, event) for event in rows.events],
        **_evaluation(row.evaluation),
    )


def _evaluation(evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of a generation that its last evaluation sets."""
    if evaluation is None:
        return dict.fromkeys(("passed", "baseline", "evaluated_at", "checks"))
    checks = [
        pb.GenerationCheck(
            name=check["name"],
            passed=check["passed"],
            detail=check["detail"],
            figures={name: float(value) for name, value in check["figures"].items() if isinstance(value, int | float)},
        )
        for check in evaluation["checks"]
    ]
    return {
        "passed": bool(evaluation["passed"]),
        "baseline": evaluation.get("baseline"),
        "evaluated_at": datetime.fromisoformat(evaluation["at"]),
        "checks": checks,
    }


def from_forecast(forecast: Forecast) -> pb.BuildForecast:
    """A forecast as a message; the fields have the same names."""
    return pb.BuildForecast(**forecast.to_json())


def from_promotion(promotion: PromotionResult) -> pb.GenerationMove:
    """A move of the alias as a message."""
    return message_of(pb.GenerationMove, promotion)
