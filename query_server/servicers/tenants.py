# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.TenantService."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.converters.fields import message_of
from query_server.handlers.admin.tenants import TenantsHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from rag_core.errors import InvalidInput, Reason
from rag_core.http_client import Use
from ragproto.admin.v1 import tenants_pb2 as pb
from ragproto.admin.v1 import tenants_pb2_grpc as rpc

if TYPE_CHECKING:
    from query_server.handlers.admin.tenants import TenantView


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

    async def SetQuestionWords(
        self, request: pb.SetQuestionWordsRequest, context: Context
    ) -> pb.SetQuestionWordsResponse:
        readable = request.readable if request.HasField("readable") else None
        caller = current_call().principal
        changed = await self._tenants.set_question_words(caller, request.name, readable, request.reason)
        return pb.SetQuestionWordsResponse(tenant=from_view(changed))

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


_USES = {
    pb.EGRESS_USE_ANSWER: Use.ANSWER,
    pb.EGRESS_USE_RERANK: Use.RERANK,
    pb.EGRESS_USE_EMBED: Use.EMBED,
}
_NUMBERS = {use: number for number, use in _USES.items()}


def from_view(view: TenantView) -> pb.Tenant:
    """A tenant with its policy."""
    tenant, policy = view.tenant, view.policy
    sources = [
        pb.SourceEgress(source=name, uses=_numbers(uses & policy.allowed), by_file=name in view.by_file)
        for name, uses in sorted(policy.sources.items())
    ]
    egress = pb.EgressPolicy(uses=_numbers(policy.allowed), inherited=tenant.egress is None, sources=sources)
    receipt = "" if tenant.receipt is None else json.dumps(dict(tenant.receipt))
    state = f"TENANT_STATE_{tenant.state.name}"
    words = {"question_words": view.question_words, "question_words_inherited": tenant.question_words is None}
    return message_of(pb.Tenant, tenant, state=state, egress=egress, receipt_json=receipt, **words)


def to_uses(numbers: Sequence[pb.EgressUse], field: str) -> list[str]:
    """Names of endpoints. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if any(number not in _USES for number in numbers):
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: not an endpoint")
    return [str(_USES[number]) for number in numbers]


def to_policy(request: pb.SetEgressPolicyRequest) -> tuple[list[str] | None, dict[str, list[str]]]:
    """The policy of a request: that of the tenant (`None`: the default) and of its sources. Raises as `to_uses`."""
    if request.inherit and request.uses:
        raise InvalidInput(Reason.FIELD_INVALID, "uses: must be empty with inherit")
    sources = {one.source: to_uses(one.uses, "sources.uses") for one in request.sources}
    if len(sources) != len(request.sources) or "" in sources:
        raise InvalidInput(Reason.FIELD_INVALID, "sources: name each source once")
    return None if request.inherit else to_uses(request.uses, "uses"), sources


def _numbers(uses: Iterable[Use]) -> list[pb.EgressUse]:
    return [_NUMBERS[use] for use in Use if use in set(uses)]
