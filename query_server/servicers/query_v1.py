# ruff: noqa: N802  the methods are named by the .proto file
"""query.v1.QueryService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters.query_v1 import from_answer, to_query
from query_server.handlers.query.answer import AnswerHandler
from query_server.runtime.calls import current_call
from ragproto.query.v1 import query_pb2 as pb
from ragproto.query.v1 import query_pb2_grpc as rpc

DEPRECATION = (("deprecation", "@1795478400"), ("link", '</api/v2/answer>; rel="successor-version"'))
"""RFC 9745: the day v2 superseded v1, and where to go."""


class QueryV1Servicer(rpc.QueryServiceServicer):
    """One question, one answer."""

    def __init__(self, answers: AnswerHandler) -> None:
        self._answers = answers

    async def Query(self, request: pb.QueryRequest, context: grpc.aio.ServicerContext[Any, Any]) -> pb.QueryResponse:
        call = current_call()
        call.queries = (request.query,)
        answer = await self._answers.answer(call.principal, to_query(request), call.deadline)
        call.log_result(answer.result)
        await context.send_initial_metadata(DEPRECATION)
        return from_answer(answer)
