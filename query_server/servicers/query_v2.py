# ruff: noqa: N802  the methods are named by the .proto file
"""query.v2.QueryService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from query_server.calls import current_call
from query_server.converters.query_v2 import from_event, from_result, to_query
from query_server.handlers.answer import AnswerHandler
from query_server.handlers.search import SearchHandler
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class QueryV2Servicer(rpc.QueryServiceServicer):
    """Search and streamed answers."""

    def __init__(self, search: SearchHandler, answers: AnswerHandler) -> None:
        self._search = search
        self._answers = answers

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        call = current_call()
        result = await self._search.search(call.principal, to_query(request))
        call.note(result)
        return from_result(result)

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> AsyncIterator[pb.AnswerEvent]:
        call = current_call()
        result, stream = await self._answers.stream(call.principal, to_query(request), call.deadline)
        call.note(result)
        async with aclosing(stream) as events:
            async for event in events:
                yield from_event(event, result)
