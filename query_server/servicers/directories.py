# ruff: noqa: N802  the methods are named by the .proto file
"""directories.v1.DirectoryService."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc.aio

from query_server.converters.fields import message_of
from query_server.handlers.directories import DirectoriesHandler
from query_server.runtime.calls import current_call
from rag_core.errors import InvalidInput, Reason
from rag_core.governance import directories
from ragproto.directories.v1 import directories_pb2 as pb
from ragproto.directories.v1 import directories_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.governance.directories import DirectoryResource

Context = grpc.aio.ServicerContext[Any, Any]
_KINDS: Final = {pb.ENTRY_KIND_PERSON: "user", pb.ENTRY_KIND_GROUP: "group"}
_NUMBERS: Final = {kind: number for number, kind in _KINDS.items()}
_FIELDS: Final = {number: name.removeprefix("ENTRY_FIELD_").lower() for name, number in pb.EntryField.items()}


class DirectoryServicer(rpc.DirectoryServiceServicer):
    """People and groups of the directory of a key."""

    def __init__(self, directories: DirectoriesHandler) -> None:
        self._directories = directories

    async def GetEntries(self, request: pb.GetEntriesRequest, context: Context) -> pb.GetEntriesResponse:
        if request.field not in _FIELDS:
            raise InvalidInput(Reason.FIELD_INVALID, "field: not known")
        total, found = await self._directories.page(
            current_call().principal,
            _kind(request.kind),
            (_FIELDS[request.field] if request.field else "", request.value),
            offset=request.offset,
            limit=request.limit,
            members=not request.without_members,
        )
        return pb.GetEntriesResponse(entries=map(from_resource, found), total=total)

    async def GetEntry(self, request: pb.GetEntryRequest, context: Context) -> pb.GetEntryResponse:
        caller, kind = current_call().principal, _kind(request.kind)
        found = await self._directories.get(caller, kind, request.id, members=not request.without_members)
        return pb.GetEntryResponse(entry=from_resource(found))

    async def SaveEntry(self, request: pb.SaveEntryRequest, context: Context) -> pb.SaveEntryResponse:
        given, kind = request.entry, _kind(request.entry.kind, "entry")
        pushed = (
            directories.PushedEntry(
                kind, given.name, given.attributes, given.external_id, tuple(given.emails), given.active
            )
            if given.attributes
            else None
        )
        members = directories.MemberChange(
            tuple(request.add_members), tuple(request.remove_members), request.replace_members
        )
        caller, expected = current_call().principal, request.expected_version
        saved = await self._directories.save(caller, kind, given.id, pushed, members, expected)
        return pb.SaveEntryResponse(entry=from_resource(saved))

    async def DeleteEntry(self, request: pb.DeleteEntryRequest, context: Context) -> pb.DeleteEntryResponse:
        await self._directories.delete(current_call().principal, _kind(request.kind), request.id)
        return pb.DeleteEntryResponse()


def from_resource(found: DirectoryResource) -> pb.Entry:
    """A stored entry."""
    members = [pb.Member(id=one, kind=_NUMBERS[kind], name=name) for one, kind, name in found.members]
    return message_of(pb.Entry, found, kind=_NUMBERS[found.kind], members=members)


def _kind(kind: pb.EntryKind, field: str = "kind") -> str:
    if kind not in _KINDS:
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: must be a person or a group")
    return _KINDS[kind]
