"""Messages of admin.v1.AdminService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from query_server.converters.times import to_timestamp
from query_server.handlers.admin.overview import (
    ComponentStatus,
    GenerationEvent,
    GenerationRow,
    GenerationStatus,
    Status,
)
from ragproto.admin.v1 import admin_pb2 as pb

if TYPE_CHECKING:
    from rag_core.generations.lifecycle import Forecast, PromotionResult
    from rag_core.source_status import SourceReport, SourceStatus

_MOMENTS = ("created_at", "ready_at", "evaluation_wanted_at", "promoted_at", "keep_until", "retired_at")


def from_status(status: Status) -> pb.GetStatusResponse:
    """The snapshot as a message."""
    return pb.GetStatusResponse(
        components=map(_component, status.components),
        sources=map(_source, status.sources),
        generations=map(_generation, status.generations),
        server_version=status.server_version,
        source_problems=[
            pb.SourceProblem(source=one.source, file=one.place, reason=one.reason, message=one.message)
            for one in status.problems
        ],
    )


def _component(component: ComponentStatus) -> pb.Component:
    return pb.Component(name=component.name, healthy=component.healthy, detail=component.detail)


def _source(report: SourceReport) -> pb.SourceStatus:
    counts, coverage = report.counts, report.coverage
    return pb.SourceStatus(
        name=counts.name,
        kind=counts.kind,
        documents=counts.documents,
        chunks=counts.chunks,
        pending=counts.pending,
        quarantined=counts.quarantined,
        held_deletions=counts.held_deletions,
        last_complete_at=to_timestamp(counts.last_complete_at),
        condition=_condition(report.status),
        streamed=not report.has_runs,
        freshness_minutes=report.freshness_minutes or 0,
        searchable=coverage.searchable,
        unread=coverage.unread,
        coverage=coverage.share,
    )


def _condition(status: SourceStatus) -> pb.SourceCondition:
    from rag_core.source_status import describe, needs_attention, sentence_of

    return pb.SourceCondition(
        state=f"SOURCE_STATE_{status.state.name}",
        since=to_timestamp(status.since),
        count=status.count,
        percent=status.percent,
        seconds_left=status.seconds_left,
        waiting_for=status.waiting_for or "",
        ahead=status.ahead,
        reason=status.reason,
        message=status.message,
        remedy=status.remedy,
        failing_since=to_timestamp(status.failing_since),
        needs_attention=needs_attention(status),
        summary=describe(status),
        sentence=sentence_of(status),
    )


def _generation(status: GenerationStatus) -> pb.Generation:
    message = pb.Generation(
        name=status.spec.name,
        state=status.state,
        points=status.points,
        embedder=status.spec.embedder,
        chunker=status.spec.chunker,
        dimensions=status.spec.dimensions,
    )
    if status.row is not None:
        _add_row(message, status.row)
    return message


def _add_row(message: pb.Generation, row: GenerationRow) -> None:
    message.documents, message.pending = row.documents, row.pending
    message.actor, message.reason, message.frozen = row.actor, row.reason, row.not_reproducible
    message.promoted_from = row.promoted_from or ""
    message.settings.update({name: str(value) for name, value in row.settings.items() if value is not None})
    for field in _MOMENTS:
        moment = getattr(row, field)
        if moment is not None:
            getattr(message, field).FromDatetime(moment)
    message.events.extend(map(_event, row.events))
    if row.evaluation is not None:
        _add_evaluation(message, row.evaluation)


def _event(event: GenerationEvent) -> pb.GenerationEvent:
    message = pb.GenerationEvent(actor=event.actor, action=event.action, reason=event.reason, detail=event.detail)
    message.at.FromDatetime(event.at)
    return message


def _add_evaluation(message: pb.Generation, evaluation: Mapping[str, Any]) -> None:
    message.passed, message.baseline = bool(evaluation["passed"]), evaluation.get("baseline") or ""
    message.evaluated_at.FromDatetime(datetime.fromisoformat(evaluation["at"]))
    for check in evaluation["checks"]:
        figures = {name: float(value) for name, value in check["figures"].items() if isinstance(value, int | float)}
        message.checks.add(name=check["name"], passed=check["passed"], detail=check["detail"], figures=figures)


def from_forecast(forecast: Forecast) -> pb.BuildForecast:
    """A forecast as a message; the fields have the same names."""
    return pb.BuildForecast(**forecast.to_json())


def from_promotion(promotion: PromotionResult) -> pb.GenerationMove:
    """A move of the alias as a message."""
    return pb.GenerationMove(
        active=promotion.active, before=promotion.before or "", pending=promotion.pending, seconds=promotion.seconds
    )
