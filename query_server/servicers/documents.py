# ruff: noqa: N802  the methods are named by the .proto file
"""documents.v1.DocumentService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters.documents import from_delete, from_page, from_put, from_stored, to_delete, to_put
from query_server.handlers.documents.handler import DocumentsHandler
from query_server.runtime.calls import current_call
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class DocumentServicer(rpc.DocumentServiceServicer):
    """Pushed documents, and stored documents that the caller may see."""

    def __init__(self, documents: DocumentsHandler) -> None:
        self._documents = documents

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

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        size = request.page_size if request.HasField("page_size") else None
        page = await self._documents.page(
            current_call().principal, source=request.source, size=size, token=request.page_token
        )
        return from_page(page)
