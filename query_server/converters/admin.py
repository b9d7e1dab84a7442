"""Messages of admin.v1.AdminService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from query_server.converters.fields import message_of
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
    from rag_core.source_status import describe, needs_attention, sentence_of

    return message_of(
        pb.SourceCondition,
        status,
        state=f"SOURCE_STATE_{status.state.name}",
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
    return message_of(pb.GenerationEvent, event)


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
    return message_of(pb.GenerationMove, promotion)
