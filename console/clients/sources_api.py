"""Calls of `admin.v1.SourceService`: operations on sources, and their credentials, which are never read."""

from __future__ import annotations

from typing import Any

from console.clients.calls import ServiceCalls
from ragproto.admin.v1 import sources_pb2 as pb


class SourcesApi(ServiceCalls):
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def permissions(self) -> pb.GetSourcePermissionsResponse:
        """Return what the caller may add sources for."""
        return self.ask("GetSourcePermissions")

    def start(self, **wanted: Any) -> pb.SourceOperation:
        """Ask for an operation on a source, which `operation` follows."""
        return self.ask("StartSourceOperation", **wanted).operation

    def operation(self, number: int) -> pb.SourceOperation:
        """An operation on a source, with its result once it has ended."""
        return self.ask("GetSourceOperation", id=number).operation

    def secrets(self) -> pb.ListSourceSecretsResponse:
        """Names of the stored credentials, and whether any can be stored here."""
        return self.ask("ListSourceSecrets", page_size=1000)

    def set_secret(self, name: str, value: str, reason: str) -> str:
        """Store a credential; returns the name that source files refer to."""
        return str(self.ask("SetSourceSecret", name=name, value=value, reason=reason).name)

    def remove_secret(self, name: str, reason: str) -> None:
        """Remove a credential."""
        self.ask("RemoveSourceSecret", name=name, reason=reason)
