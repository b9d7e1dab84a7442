"""Calls of `admin.v1.SourceService`: operations on sources, and their credentials, which are never read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ragproto.admin.v1 import sources_pb2 as pb
from ragproto.admin.v1 import sources_pb2_grpc as rpc


class SourcesApi:
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, stub: rpc.SourceServiceStub, call: Callable[[Any, Any], Any]) -> None:
        self._stub = stub
        self._call = call

    def permissions(self) -> pb.GetSourcePermissionsResponse:
        """Return what the caller may add sources for."""
        return self._ask("GetSourcePermissions")

    def start(self, **wanted: Any) -> pb.SourceOperation:
        """Ask for an operation on a source, which `operation` follows."""
        return self._ask("StartSourceOperation", **wanted).operation

    def operation(self, number: int) -> pb.SourceOperation:
        """An operation on a source, with its result once it has ended."""
        return self._ask("GetSourceOperation", id=number).operation

    def secrets(self) -> pb.ListSourceSecretsResponse:
        """Names of the stored credentials, and whether any can be stored here."""
        return self._ask("ListSourceSecrets", page_size=1000)

    def set_secret(self, name: str, value: str, reason: str) -> str:
        """Store a credential; returns the name that source files refer to."""
        return str(self._ask("SetSourceSecret", name=name, value=value, reason=reason).name)

    def remove_secret(self, name: str, reason: str) -> None:
        """Remove a credential."""
        self._ask("RemoveSourceSecret", name=name, reason=reason)

    def _ask(self, method: str, /, **fields: Any) -> Any:
        return self._call(getattr(self._stub, method), getattr(pb, f"{method}Request")(**fields))
