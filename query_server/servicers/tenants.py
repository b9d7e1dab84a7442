# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.TenantService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from query_server.converters.tenants import from_view, to_policy, to_uses
from query_server.handlers.admin.tenants import TenantsHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from ragproto.admin.v1 import tenants_pb2 as pb
from ragproto.admin.v1 import tenants_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class TenantServicer(rpc.TenantServiceServicer):
    """Tenants as a unit."""

    def __init__(self, tenants: TenantsHandler, pages: ListPages) -> None:
        self._tenants, self._pages = tenants, pages

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        page = self._pages.of(current_call().principal, request)
        shown, token = page.cut(await self._tenants.page(page), lambda row: (row.tenant.name,))
        return pb.ListTenantsResponse(tenants=map(from_view, shown), next_page_token=token)

    async def GetTenant(self, request: pb.GetTenantRequest, context: Context) -> pb.GetTenantResponse:
        return pb.GetTenantResponse(tenant=from_view(await self._tenants.get(request.name)))

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: Context) -> pb.CreateTenantResponse:
        uses = to_uses(request.egress_uses, "egress_uses") if request.own_egress else None
        made = await self._tenants.create(current_call().principal, request.name, uses, request.reason)
        return pb.CreateTenantResponse(tenant=from_view(made))

    async def SuspendTenant(self, request: pb.SuspendTenantRequest, context: Context) -> pb.SuspendTenantResponse:
        changed = await self._tenants.suspend(current_call().principal, request.name, request.reason)
        return pb.SuspendTenantResponse(tenant=from_view(changed))

    async def ResumeTenant(self, request: pb.ResumeTenantRequest, context: Context) -> pb.ResumeTenantResponse:
        changed = await self._tenants.resume(current_call().principal, request.name, request.reason)
        return pb.ResumeTenantResponse(tenant=from_view(changed))

    async def SetEgressPolicy(self, request: pb.SetEgressPolicyRequest, context: Context) -> pb.SetEgressPolicyResponse:
        uses, sources = to_policy(request)
        caller = current_call().principal
        changed = await self._tenants.set_egress(caller, request.name, uses, sources, request.reason)
        return pb.SetEgressPolicyResponse(tenant=from_view(changed))

    async def ExportTenant(
        self, request: pb.ExportTenantRequest, context: Context
    ) -> AsyncIterator[pb.ExportTenantResponse]:
        pieces = self._tenants.export(current_call().principal, request.name, request.reason)
        async with aclosing(pieces) as archive:
            async for piece in archive:
                yield pb.ExportTenantResponse(content=piece)

    async def EraseTenant(self, request: pb.EraseTenantRequest, context: Context) -> pb.EraseTenantResponse:
        caller = current_call().principal
        erasing = await self._tenants.erase(caller, request.name, request.confirm_name, request.reason)
        return pb.EraseTenantResponse(tenant=from_view(erasing))
