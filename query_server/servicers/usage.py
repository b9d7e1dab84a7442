# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.UsageService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters import usage as to_message
from query_server.handlers.paging import ListPages
from query_server.handlers.usage import UsageHandler
from query_server.runtime.calls import current_call
from rag_core.governance.usage import Owner
from ragproto.admin.v1 import usage_pb2 as pb
from ragproto.admin.v1 import usage_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class UsageServicer(rpc.UsageServiceServicer):
    """Usage and budgets."""

    def __init__(self, usage: UsageHandler, pages: ListPages) -> None:
        self._usage, self._pages = usage, pages

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:
        days = request.days if request.HasField("days") else None
        caller = current_call().principal
        page = self._pages.of(caller, request, default=1000)
        found = await self._usage.report(caller, request.tenant, days, page, everyone=request.all_tenants)
        shown, token = page.cut(found.days, lambda row: (row.at.isoformat(), row.owner.tenant, row.owner.key_id))
        return to_message.from_report(found, shown, token)

    async def SetBudget(self, request: pb.SetBudgetRequest, context: Context) -> pb.SetBudgetResponse:
        owner, budget = Owner(request.tenant, request.key_id), to_message.to_budget(request)
        before = await self._usage.set_budget(current_call().principal, owner, budget, request.reason)
        return pb.SetBudgetResponse(before=to_message.from_budget(owner, before))
