# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.AdminService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.calls import current_call
from query_server.converters.admin import from_status
from query_server.handlers.admin import AdminHandler
from ragproto.admin.v1 import admin_pb2 as pb
from ragproto.admin.v1 import admin_pb2_grpc as rpc


class AdminServicer(rpc.AdminServiceServicer):
    """What operators read."""

    def __init__(self, admin: AdminHandler) -> None:
        self._admin = admin

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetStatusResponse:
        return from_status(await self._admin.status(current_call().principal))
