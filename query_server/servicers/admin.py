# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.AdminService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.converters.fields import message_of
from query_server.handlers.admin.generations import GenerationsHandler
from query_server.handlers.admin.handler import AdminHandler
from query_server.handlers.admin.overview import ComponentStatus, GenerationStatus, Status
from query_server.runtime.calls import current_call
from rag_core.ingestion import source_status
from ragproto.admin.v1 import admin_pb2 as pb
from ragproto.admin.v1 import admin_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.ingestion.promotion import Forecast, PromotionResult
    from rag_core.ingestion.source_status import SourceReport, SourceStatus


Context = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(rpc.AdminServiceServicer):
    """Status for operators, and their actions on index generations."""

    def __init__(self, admin: AdminHandler, generations: GenerationsHandler) -> None:
        self._admin = admin
        self._generations = generations

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        return from_status(await self._admin.status(current_call().principal))

    async def BuildGeneration(self, request: pb.BuildGenerationRequest, context: Context) -> pb.BuildGenerationResponse:
        name, forecast = await self._generations.build(
            current_call().principal,
            name=request.name,
            changes=dict(request.settings),
            reason=request.reason,
            confirmed=request.confirmed,
            dry_run=request.dry_run,
        )
        return pb.BuildGenerationResponse(generation=name, forecast=from_forecast(forecast))

    async def EvaluateGeneration(
        self, request: pb.EvaluateGenerationRequest, context: Context
    ) -> pb.EvaluateGenerationResponse:
        await self._generations.evaluate(current_call().principal, request.generation)
        return pb.EvaluateGenerationResponse()

    async def PromoteGeneration(
        self, request: pb.PromoteGenerationRequest, context: Context
    ) -> pb.PromoteGenerationResponse:
        moved = await self._generations.promote(
            current_call().principal, request.generation, request.reason, request.override_reason
        )
        return pb.PromoteGenerationResponse(move=from_promotion(moved))

    async def RollbackGeneration(
        self, request: pb.RollbackGenerationRequest, context: Context
    ) -> pb.RollbackGenerationResponse:
        moved = await self._generations.rollback(current_call().principal, request.reason)
        return pb.RollbackGenerationResponse(move=from_promotion(moved))

    async def RetireGeneration(
        self, request: pb.RetireGenerationRequest, context: Context
    ) -> pb.RetireGenerationResponse:
        principal = current_call().principal
        await self._generations.retire(principal, request.generation, request.reason, now=request.now)
        return pb.RetireGenerationResponse()


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
    return message_of(
        pb.SourceCondition,
        status,
        state=f"SOURCE_STATE_{status.state.name}",
        needs_attention=source_status.needs_attention(status),
        summary=source_status.describe(status),
        sentence=source_status.sentence_of(status),
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
