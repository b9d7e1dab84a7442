# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.SourceService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters import sources as to_message
from query_server.handlers.admin.sources import SourcesHandler
from query_server.runtime.calls import current_call
from rag_core.settings import Settings
from ragproto.admin.v1 import sources_pb2 as pb
from ragproto.admin.v1 import sources_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class SourceServicer(rpc.SourceServiceServicer):
    """Stores requests of operations on sources, and returns their results."""

    def __init__(self, sources: SourcesHandler, settings: Settings) -> None:
        self._sources = sources
        self._settings = settings

    async def GetSourcePermissions(
        self, request: pb.GetSourcePermissionsRequest, context: Context
    ) -> pb.GetSourcePermissionsResponse:
        unrestricted, allowance = self._sources.permissions(current_call().principal)
        return to_message.from_permissions(unrestricted, allowance, self._settings)

    async def StartSourceOperation(
        self, request: pb.StartSourceOperationRequest, context: Context
    ) -> pb.StartSourceOperationResponse:
        row = await self._sources.start(current_call().principal, to_message.to_request(request))
        return pb.StartSourceOperationResponse(operation=to_message.from_operation(row))

    async def GetSourceOperation(
        self, request: pb.GetSourceOperationRequest, context: Context
    ) -> pb.GetSourceOperationResponse:
        row = await self._sources.get(current_call().principal, request.id)
        return pb.GetSourceOperationResponse(operation=to_message.from_operation(row))
