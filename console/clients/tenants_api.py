"""Calls of `admin.v1.TenantService`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from console.clients.calls import ServiceCalls
from console.clients.errors import ServiceError
from ragproto.admin.v1 import tenants_pb2 as pb

MAX_EXPORT_BYTES = 256_000_000
"""Largest archive that goes through the console; `rag tenant export` knows no limit."""


class TenantsApi(ServiceCalls):
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, stub: Any, call: Callable[[Any, Any], Any], stream: Callable[[Any, Any], Iterator[Any]]) -> None:
        super().__init__(stub, call)
        self._stream = stream

    def all(self) -> tuple[list[pb.Tenant], bool]:
        """Tenants by name, and whether there are more than the console shows."""
        found = self.ask_all("ListTenants", "tenants", page_size=1000)
        return list(found.tenants), bool(found.next_page_token)

    def create(self, name: str, uses: Sequence[int] | None, reason: str) -> None:
        """Create a tenant with a policy of its own, or (`None`) with the default."""
        self.ask("CreateTenant", name=name, own_egress=uses is not None, egress_uses=uses or (), reason=reason)

    def suspend(self, name: str, reason: str) -> None:
        """Suspend a tenant."""
        self.ask("SuspendTenant", name=name, reason=reason)

    def resume(self, name: str, reason: str) -> None:
        """End a suspension."""
        self.ask("ResumeTenant", name=name, reason=reason)

    def set_egress(
        self, name: str, uses: Sequence[int] | None, sources: Mapping[str, Sequence[int]], reason: str
    ) -> None:
        """Replace the egress policy of a tenant; `None`: the default."""
        narrower = [pb.SourceEgress(source=source) for source in sources]
        for message in narrower:
            message.uses.extend(pb.EgressUse(use) for use in sources[message.source])
        self.ask("SetEgressPolicy", name=name, inherit=uses is None, uses=uses or (), sources=narrower, reason=reason)

    def set_question_words(self, name: str, readable: bool | None, reason: str) -> None:
        """Say whether the texts of questions without an answer are kept; `None`: as the installation says."""
        self.ask("SetQuestionWords", name=name, readable=readable, reason=reason)

    def erase(self, name: str, reason: str) -> None:
        """Close a tenant and have it erased."""
        self.ask("EraseTenant", name=name, confirm_name=name, reason=reason)

    def export(self, name: str, reason: str, target: IO[bytes]) -> int:
        """Write the archive of a tenant to `target`; returns its size. Raises for one that is too large."""
        written = 0
        for piece in self._stream(self._stub.ExportTenant, pb.ExportTenantRequest(name=name, reason=reason)):
            written += target.write(piece.content)
            if written > MAX_EXPORT_BYTES:
                raise ServiceError("console", "RESPONSE_TOO_LARGE", "use `rag tenant export`")
        return written
