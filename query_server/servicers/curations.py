# ruff: noqa: N802  the methods are named by the .proto file
"""query.v2.CurationService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters.curations import from_curation, to_draft
from query_server.converters.fields import part_of_request
from query_server.handlers.admin.curations import CurationsHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from ragproto.query.v2 import curation_pb2 as pb
from ragproto.query.v2 import curation_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class CurationServicer(rpc.CurationServiceServicer):
    """Decisions of editors for a question."""

    def __init__(self, curations: CurationsHandler, pages: ListPages) -> None:
        self._curations, self._pages = curations, pages

    async def ListCurations(self, request: pb.ListCurationsRequest, context: Context) -> pb.ListCurationsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, most=500)
        shown, token = page.cut(await self._curations.listed(caller, page), lambda row: (row.id,))
        return pb.ListCurationsResponse(curations=map(from_curation, shown), next_page_token=token)

    async def SaveCuration(self, request: pb.SaveCurationRequest, context: Context) -> pb.SaveCurationResponse:
        caller, wanted = current_call().principal, request.curation
        with part_of_request("curation", pb.Curation):
            saved = await self._curations.save(caller, wanted.id, to_draft(wanted), request.reason)
        return pb.SaveCurationResponse(curation=from_curation(saved))

    async def RemoveCuration(self, request: pb.RemoveCurationRequest, context: Context) -> pb.RemoveCurationResponse:
        await self._curations.remove(current_call().principal, request.id, request.reason)
        return pb.RemoveCurationResponse()
