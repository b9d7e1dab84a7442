# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.DeploymentService."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.converters.fields import message_of
from query_server.handlers.admin.deployments import DeploymentsHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from ragproto.admin.v1 import deployments_pb2 as pb
from ragproto.admin.v1 import deployments_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.governance.audit import Colour, Deployment, Step


Context = grpc.aio.ServicerContext[Any, Any]


class DeploymentServicer(rpc.DeploymentServiceServicer):
    """Lists deployments and requests actions of the deployer."""

    def __init__(self, deployments: DeploymentsHandler, pages: ListPages) -> None:
        self._deployments, self._pages = deployments, pages

    async def ListColours(self, request: pb.ListColoursRequest, context: Context) -> pb.ListColoursResponse:
        page = self._pages.of(current_call().principal, request)
        shown, token = page.within(await self._deployments.colours(), lambda row: (row.target, row.name))
        return pb.ListColoursResponse(colours=map(from_colour, shown), next_page_token=token)

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Context) -> pb.ListDeploymentsResponse:
        page = self._pages.of(current_call().principal, request, default=20, most=200)
        shown, token = page.cut(await self._deployments.page(page), lambda row: (row.id,))
        return pb.ListDeploymentsResponse(deployments=map(from_deployment, shown), next_page_token=token)

    async def GetDeployment(self, request: pb.GetDeploymentRequest, context: Context) -> pb.GetDeploymentResponse:
        row, history = await self._deployments.one(request.id)
        return pb.GetDeploymentResponse(deployment=from_deployment(row), history=map(from_step, history))

    async def RequestSwitch(self, request: pb.RequestSwitchRequest, context: Context) -> pb.RequestSwitchResponse:
        row = await self._deployments.ask(current_call().principal, request.id, "switch", request.reason)
        return pb.RequestSwitchResponse(deployment=from_deployment(row))

    async def RequestRollback(self, request: pb.RequestRollbackRequest, context: Context) -> pb.RequestRollbackResponse:
        row = await self._deployments.ask(current_call().principal, request.id, "rollback", request.reason)
        return pb.RequestRollbackResponse(deployment=from_deployment(row))


def from_colour(colour: Colour) -> pb.Colour:
    """A colour as it was seen."""
    return message_of(pb.Colour, colour)


def from_deployment(row: Deployment) -> pb.Deployment:
    """A deployment."""
    return message_of(pb.Deployment, row, state=f"DEPLOYMENT_STATE_{row.state.name}")


def from_step(step: Step) -> pb.DeploymentStep:
    """An entry of a deployment's history."""
    return message_of(pb.DeploymentStep, step, figures=dict(step.figures) or None)
