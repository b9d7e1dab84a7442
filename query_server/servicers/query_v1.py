# ruff: noqa: N802  the methods are named by the .proto file
"""query.v1.QueryService."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import grpc.aio

from query_server.converters.fields import message_of
from query_server.handlers.query.answer import Answer, AnswerHandler
from query_server.handlers.query.validation import Query
from query_server.runtime.calls import current_call
from rag_core.answering import Abstained, Abstention, Answered, Outcome
from rag_core.content.documents import All, Condition, In
from rag_core.retrieval.index import SearchHit
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


_MARKER = re.compile(r"\[(\d+)\]")


def to_query(request: pb.QueryRequest) -> Query:
    """A v1 question as the handlers take it."""
    top_k = request.top_k if request.HasField("top_k") else None
    return Query(request.query, top_k, filter=_filter(request.filter))


def _filter(fields: Mapping[str, str]) -> Condition | None:
    """Require that every field has the given value; no fields, no filter."""
    return All(tuple(In(name, (value,)) for name, value in fields.items())) if fields else None


def from_answer(answer: Answer) -> pb.QueryResponse:
    """v1 has no citations of its own: its markers number the list of sources."""
    text, found = _renumbered(answer), (*answer.result.hits, *_evidence(answer))
    last = max((int(number) for number in _MARKER.findall(text) if int(number) <= len(found)), default=0)
    return pb.QueryResponse(
        answer=text,
        sources=map(_source, found[: max(last, len(answer.result.hits))]),
        abstained=bool(abstention := _abstention(answer.outcome)),
        generation=answer.result.generation,
        abstention=abstention,
    )


def _evidence(answer: Answer) -> tuple[SearchHit, ...]:
    return answer.outcome.evidence if isinstance(answer.outcome, Answered) else ()


def _abstention(outcome: Answered | Abstained) -> str:
    if isinstance(outcome, Abstained):
        return outcome.reason
    return "" if outcome.outcome is Outcome.ANSWERED else Abstention.NOT_SUPPORTED


def _renumbered(answer: Answer) -> str:
    if not isinstance(answer.outcome, Answered):
        return ""
    places = {citation.number: citation.rank + 1 for citation in answer.outcome.citations}
    # Brackets with another number are no marker but part of quoted code, such as `row[0]`.
    return _MARKER.sub(lambda marker: f"[{places.get(int(marker[1]), marker[1])}]", answer.text)


def _source(hit: SearchHit) -> pb.Source:
    return message_of(pb.Source, hit.payload, doc_id=str(hit.payload.doc_id), score=hit.score)
