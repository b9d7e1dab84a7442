# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.SourceService."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio
from google.protobuf.json_format import ParseDict

from query_server.handlers.admin.source_secrets import SourceSecretsHandler
from query_server.handlers.admin.sources import OperationRequest, SourcesHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from rag_core.errors import InvalidInput, Reason
from rag_core.reasons import remedy_of
from rag_core.settings import Settings, SourceAllowance
from ragproto.admin.v1 import sources_pb2 as pb
from ragproto.admin.v1 import sources_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.content.sources import Operation


Context = grpc.aio.ServicerContext[Any, Any]


class SourceServicer(rpc.SourceServiceServicer):
    """Stores requests of operations on sources, and returns their results."""

    def __init__(
        self, sources: SourcesHandler, secrets: SourceSecretsHandler, settings: Settings, pages: ListPages
    ) -> None:
        self._sources, self._secrets = sources, secrets
        self._settings, self._pages = settings, pages

    async def GetSourcePermissions(
        self, request: pb.GetSourcePermissionsRequest, context: Context
    ) -> pb.GetSourcePermissionsResponse:
        unrestricted, allowance = self._sources.permissions(current_call().principal)
        return from_permissions(unrestricted, allowance, self._settings)

    async def StartSourceOperation(
        self, request: pb.StartSourceOperationRequest, context: Context
    ) -> pb.StartSourceOperationResponse:
        row = await self._sources.start(current_call().principal, to_request(request))
        return pb.StartSourceOperationResponse(operation=from_operation(row))

    async def GetSourceOperation(
        self, request: pb.GetSourceOperationRequest, context: Context
    ) -> pb.GetSourceOperationResponse:
        row = await self._sources.get(current_call().principal, request.id)
        return pb.GetSourceOperationResponse(operation=from_operation(row))

    async def ListSourceSecrets(
        self, request: pb.ListSourceSecretsRequest, context: Context
    ) -> pb.ListSourceSecretsResponse:
        caller = current_call().principal
        names, token = self._pages.of(caller, request).within(self._secrets.names(caller), lambda name: (name,))
        return pb.ListSourceSecretsResponse(names=names, can_store=self._secrets.can_store, next_page_token=token)

    async def SetSourceSecret(self, request: pb.SetSourceSecretRequest, context: Context) -> pb.SetSourceSecretResponse:
        caller = current_call().principal
        return pb.SetSourceSecretResponse(
            name=await self._secrets.set(caller, request.name, request.value, request.reason)
        )

    async def RemoveSourceSecret(
        self, request: pb.RemoveSourceSecretRequest, context: Context
    ) -> pb.RemoveSourceSecretResponse:
        await self._secrets.remove(current_call().principal, request.name, request.reason)
        return pb.RemoveSourceSecretResponse()


_ACTION, _STATE = "SOURCE_ACTION_", "SOURCE_OPERATION_STATE_"


def from_permissions(
    unrestricted: bool, allowance: SourceAllowance | None, settings: Settings
) -> pb.GetSourcePermissionsResponse:
    """Convert the sources that a caller may add; the response says which deletions of them are held."""
    lists = allowance or SourceAllowance()
    return pb.GetSourcePermissionsResponse(
        allowed=unrestricted or allowance is not None,
        unrestricted=unrestricted,
        roots=lists.roots,
        hosts=lists.hosts,
        secrets=lists.secrets,
        delete_guard_fraction=settings.delete_guard_fraction,
        delete_guard_minimum=settings.delete_guard_minimum,
    )


def to_request(request: pb.StartSourceOperationRequest) -> OperationRequest:
    """Raises `InvalidInput` (`FIELD_INVALID`) for an unknown action."""
    if request.action not in pb.SourceAction.values() or not request.action:
        raise InvalidInput(Reason.FIELD_INVALID, "action: must be one of SourceAction")
    return OperationRequest(
        action=pb.SourceAction.Name(request.action).removeprefix(_ACTION).lower(),
        source=request.source,
        definition=request.definition,
        digest=request.digest,
        dry_run=request.dry_run,
        unchecked=request.unchecked,
        why=request.reason,
    )


def from_operation(row: Operation) -> pb.SourceOperation:
    """An operation with its result."""
    message = pb.SourceOperation(
        id=row.id,
        action=f"{_ACTION}{row.action.upper()}",
        source=row.source,
        state=f"{_STATE}{row.state.upper()}",
        reason=row.reason,
        message=row.message,
        requested_at=row.requested_at,
        finished_at=row.finished_at,
    )
    if row.result:
        # A worker of the next release may store more than this server knows.
        ParseDict(row.result, message, ignore_unknown_fields=True)
    for found in (message.check, message.preview):
        if found.reason:
            found.remedy = remedy_of(found.reason)
    return message
