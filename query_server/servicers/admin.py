# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.AdminService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters.admin import from_forecast, from_promotion, from_status
from query_server.handlers.admin.generations import GenerationsHandler
from query_server.handlers.admin.handler import AdminHandler
from query_server.runtime.calls import current_call
from ragproto.admin.v1 import admin_pb2 as pb
from ragproto.admin.v1 import admin_pb2_grpc as rpc

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
