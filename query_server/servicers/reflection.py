"""Server reflection: public services for every caller, operator services for callers with their scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from query_server.auth.policies import OBSERVE, PLATFORM_READ, allows
from query_server.runtime.calls import CallState
from rag_core.errors import RagError
from rag_core.governance.access import Principal

Authenticate = Callable[[CallState], Awaitable[Principal]]


class GuardedReflection(reflection_pb2_grpc.ServerReflectionServicer):  # type: ignore[misc]  # untyped package
    """Two views of the interface: `identify` decides which one a call gets, without good credentials the public one."""

    def __init__(self, authenticate: Authenticate, public: Iterable[str], admin: Iterable[str]) -> None:
        self._identify = authenticate
        names = (*public, reflection.SERVICE_NAME)
        self._public = reflection.aio.ReflectionServicer(names, pool=_pool_of(names))  # type: ignore[attr-defined]
        self._whole = reflection.aio.ReflectionServicer((*names, *admin))  # type: ignore[attr-defined]

    async def ServerReflectionInfo(  # noqa: N802  named by the .proto file
        self, request_iterator: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        view = self._whole if await self._operates(context) else self._public
        async for response in view.ServerReflectionInfo(request_iterator, context):
            yield response

    async def _operates(self, context: grpc.aio.ServicerContext[Any, Any]) -> bool:
        try:
            caller = await self._identify(CallState("reflection", context))
        except RagError:
            return False
        return any(allows(caller.scopes, scope) for scope in (OBSERVE, PLATFORM_READ))


def _pool_of(services: Iterable[str]) -> descriptor_pool.DescriptorPool:
    """The files that declare these services, and what they import. The default pool has every file of the process."""
    pool, default = descriptor_pool.DescriptorPool(), descriptor_pool.Default()
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for imported in file.dependencies:
            add(imported)
        declared = FileDescriptorProto()
        file.CopyToProto(declared)
        pool.Add(declared)

    for service in services:
        add(default.FindFileContainingSymbol(service))
    return pool
