"""Messages of admin.v1.TenantService."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from rag_core.errors import InvalidInput, Reason
from rag_core.http_client import Use
from ragproto.admin.v1 import tenants_pb2 as pb

if TYPE_CHECKING:
    from query_server.handlers.admin.tenants import TenantView

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
    return message_of(pb.Tenant, tenant, state=state, egress=egress, receipt_json=receipt)


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
