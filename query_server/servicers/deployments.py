# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.DeploymentService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters import deployments as to_message
from query_server.handlers.admin.deployments import DeploymentsHandler
from query_server.handlers.admin.rules import check_limit, check_page_token
from query_server.runtime.calls import current_call
from ragproto.admin.v1 import deployments_pb2 as pb
from ragproto.admin.v1 import deployments_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class DeploymentServicer(rpc.DeploymentServiceServicer):
    """Lists deployments and requests actions of the deployer."""

    def __init__(self, deployments: DeploymentsHandler) -> None:
        self._deployments = deployments

    async def ListColours(self, request: pb.ListColoursRequest, context: Context) -> pb.ListColoursResponse:
        return pb.ListColoursResponse(colours=map(to_message.from_colour, await self._deployments.colours()))

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Context) -> pb.ListDeploymentsResponse:
        limit = check_limit(request.limit if request.HasField("limit") else None, default=20, most=200)
        found = await self._deployments.page(check_page_token(request.page_token), limit)
        return pb.ListDeploymentsResponse(
            deployments=map(to_message.from_deployment, found),
            next_page_token=str(found[-1].id) if len(found) == limit else "",
        )

    async def GetDeployment(self, request: pb.GetDeploymentRequest, context: Context) -> pb.GetDeploymentResponse:
        row, history = await self._deployments.one(request.id)
        return pb.GetDeploymentResponse(
            deployment=to_message.from_deployment(row), history=map(to_message.from_step, history)
        )

    async def RequestSwitch(self, request: pb.RequestSwitchRequest, context: Context) -> pb.RequestSwitchResponse:
        row = await self._deployments.ask(current_call().principal, request.id, "switch", request.reason)
        return pb.RequestSwitchResponse(deployment=to_message.from_deployment(row))

    async def RequestRollback(self, request: pb.RequestRollbackRequest, context: Context) -> pb.RequestRollbackResponse:
        row = await self._deployments.ask(current_call().principal, request.id, "rollback", request.reason)
        return pb.RequestRollbackResponse(deployment=to_message.from_deployment(row))
