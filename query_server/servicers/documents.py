# ruff: noqa: N802  the methods are named by the .proto file
"""documents.v1.DocumentService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from google.protobuf import json_format

from query_server.converters.documents import from_delete, from_explanation, from_put, from_stored, to_delete, to_put
from query_server.handlers.documents.access import ExplainAccessHandler
from query_server.handlers.documents.handler import DocumentsHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from rag_core.errors import InvalidInput, Reason
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class DocumentServicer(rpc.DocumentServiceServicer):
    """Pushed documents, and stored documents that the caller may see."""

    def __init__(self, documents: DocumentsHandler, access: ExplainAccessHandler, pages: ListPages) -> None:
        self._documents, self._access, self._pages = documents, access, pages

    async def Put(self, request: pb.PutRequest, context: Context) -> pb.PutResponse:
        call = current_call()
        return from_put(await self._documents.put(call.principal, to_put(request), call.request_id))

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.GetResponse:
        stored, text, cut = await self._documents.get(
            current_call().principal, request.doc_id, include_text=request.include_text
        )
        return pb.GetResponse(document=from_stored(stored), text=text, text_truncated=cut)

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:
        call = current_call()
        return from_delete(await self._documents.delete(call.principal, to_delete(request), call.request_id))

    async def ReceiveObjectEvents(
        self, request: pb.ReceiveObjectEventsRequest, context: Context
    ) -> pb.ReceiveObjectEventsResponse:
        try:
            event = json_format.MessageToDict(request.event)
        except (json_format.Error, ValueError):  # a number that JSON does not have, in a list or alone
            raise InvalidInput(Reason.VALUE_INVALID, "event: is no event notification of a bucket") from None
        objects = await self._documents.receive_object_events(current_call().principal, request.source, event)
        return pb.ReceiveObjectEventsResponse(objects=objects)

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request)
        found = await self._documents.page(caller, page, source=request.source)
        shown, token = page.cut(found, lambda row: (str(row.doc_id),))
        return pb.ListResponse(documents=map(from_stored, shown), next_page_token=token)

    async def ExplainAccess(self, request: pb.ExplainAccessRequest, context: Context) -> pb.ExplainAccessResponse:
        caller = current_call().principal
        return from_explanation(
            await self._access.explain(caller, request.doc_id, request.user, request.groups, request.reason)
        )
