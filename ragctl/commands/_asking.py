"""Questions asked of the running stack as a client asks them, and graded."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ragctl.commands.query import resumed
from ragctl.grpc_client import query_stub

if TYPE_CHECKING:
    from rag_core.answering.evaluation import EvaluationQuestion, Result, Shown
    from rag_core.settings import Settings
    from ragproto.query.v2 import query_pb2

_TOKEN_SECONDS = 86_400 // 2


def ask(
    settings: Settings, asked: Sequence[EvaluationQuestion], top_k: int, tenant: str
) -> Iterator[tuple[str, Result]]:
    """For each question the generation that was searched, and the graded answer."""
    from rag_core.answering.evaluation import Result, Shown, grade, places_of, retrieval
    from ragproto.query.v2 import query_pb2

    with query_stub(settings, tenant, _TOKEN_SECONDS) as (stub, call):
        for question in asked:
            found = stub.Search(query_pb2.SearchRequest(query=question.text, top_k=top_k), **call)
            recall, ndcg = retrieval(question, [f"{one.source}/{one.locator}" for one in found.passages], top_k)
            text, final = _answer(stub, call, query_pb2.AnswerRequest(query=question.text, top_k=top_k))
            shown, citations = _shown(final)
            quotes = {citation.number: citation.quote for citation in citations}
            places = places_of(text, final.excerpts, quotes) if shown in (Shown.ANSWERED, Shown.CLOSEST) else []
            cited = tuple(dict.fromkeys(uuid.UUID(one.doc_id) for one in citations if one.doc_id))
            verdict = grade(question, shown, places)
            yield (
                found.generation,
                Result(question.text, question.tags, verdict, recall, ndcg, question.key, text, cited),
            )


def _answer(stub: Any, call: dict[str, Any], request: query_pb2.AnswerRequest) -> tuple[str, query_pb2.AnswerFinal]:
    from functools import partial

    from ragproto.query.v2 import query_pb2

    text, final = "", query_pb2.AnswerFinal()
    for event in resumed(partial(stub.Answer, **call), request):
        text += event.delta.text
        final = event.final
    return text, final


def _shown(final: query_pb2.AnswerFinal) -> tuple[Shown, Sequence[query_pb2.Citation]]:
    """Return what the answer claims to be, and what it cites."""
    from rag_core.answering.evaluation import Shown
    from ragproto.query.v2 import query_pb2

    if final.answer_outcome == query_pb2.ANSWER_OUTCOME_CLOSEST_PASSAGES:
        return Shown.CLOSEST, final.abstained.citations
    outcome = final.WhichOneof("outcome")
    if outcome == "answered":
        return Shown.ANSWERED, final.answered.citations
    return (Shown.NOTHING if outcome == "abstained" else Shown.FAILED), ()
