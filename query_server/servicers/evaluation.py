# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.EvaluationService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.converters.feedback import to_doc_id
from query_server.converters.fields import message_of
from query_server.handlers.admin.evaluation import EvaluationHandler
from query_server.handlers.admin.rules import check_limit
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from ragproto.admin.v1 import evaluation_pb2 as pb
from ragproto.admin.v1 import evaluation_pb2_grpc as rpc

if TYPE_CHECKING:
    from query_server.handlers.admin.evaluation import ComparedRun
    from rag_core.answering.evaluation import Change, Result, Run, StoredQuestion


Context = grpc.aio.ServicerContext[Any, Any]
_PARTS = ("expected", "patterns", "sources", "tags")


class EvaluationServicer(rpc.EvaluationServiceServicer):
    """Shows runs, and decides about questions."""

    def __init__(self, evaluation: EvaluationHandler, pages: ListPages) -> None:
        self._evaluation, self._pages = evaluation, pages

    async def ListEvaluationRuns(
        self, request: pb.ListEvaluationRunsRequest, context: Context
    ) -> pb.ListEvaluationRunsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=50, most=500)
        shown, token = page.cut(await self._evaluation.runs(caller, page), lambda row: (row.id,))
        return pb.ListEvaluationRunsResponse(runs=map(from_run, shown), next_page_token=token)

    async def GetEvaluationRun(
        self, request: pb.GetEvaluationRunRequest, context: Context
    ) -> pb.GetEvaluationRunResponse:
        return from_compared(await self._evaluation.run(current_call().principal, request.id))

    async def AcceptEvaluationRun(
        self, request: pb.AcceptEvaluationRunRequest, context: Context
    ) -> pb.AcceptEvaluationRunResponse:
        run = await self._evaluation.accept(current_call().principal, request.id, request.reason)
        return pb.AcceptEvaluationRunResponse(run=from_run(run))

    async def ListProposedQuestions(
        self, request: pb.ListProposedQuestionsRequest, context: Context
    ) -> pb.ListProposedQuestionsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, most=500)
        found = await self._evaluation.questions(caller, request.state, page)
        shown, token = page.cut(found, lambda row: (row.id,))
        return pb.ListProposedQuestionsResponse(questions=map(from_question, shown), next_page_token=token)

    async def ProposeQuestions(
        self, request: pb.ProposeQuestionsRequest, context: Context
    ) -> pb.ProposeQuestionsResponse:
        count = check_limit(request.count if request.HasField("count") else None, default=20, most=200, field="count")
        added = await self._evaluation.propose(current_call().principal, count, request.source)
        return pb.ProposeQuestionsResponse(proposed=added)

    async def SaveQuestion(self, request: pb.SaveQuestionRequest, context: Context) -> pb.SaveQuestionResponse:
        parts = {name: list(getattr(request, name)) for name in _PARTS}
        doc_ids = [to_doc_id("doc_ids", one) for one in request.doc_ids]
        saved = await self._evaluation.save(current_call().principal, request.question, parts, doc_ids)
        return pb.SaveQuestionResponse(question=from_question(saved))

    async def DecideQuestion(self, request: pb.DecideQuestionRequest, context: Context) -> pb.DecideQuestionResponse:
        changed = {name: list(getattr(request, name)) for name in _PARTS}
        call = current_call()
        decided = await self._evaluation.decide(call.principal, request.id, changed, accept=request.accept)
        return pb.DecideQuestionResponse(question=from_question(decided))


def from_run(run: Run) -> pb.EvaluationRun:
    """A run without its questions."""
    tags = {tag: _figures(found) for tag, found in run.tags.items()}
    return message_of(pb.EvaluationRun, run, figures=_figures(run.figures), tags=tags)


def _figures(found: Mapping[str, Any]) -> pb.EvaluationFigures:
    return pb.EvaluationFigures(**found)


def from_compared(found: ComparedRun) -> pb.GetEvaluationRunResponse:
    """A run with what changed."""
    return pb.GetEvaluationRunResponse(
        run=from_run(found.run),
        before=from_run(found.before) if found.before else None,
        changes=map(_change, found.changes),
        unsatisfied=map(_result, found.unsatisfied),
    )


def _change(change: Change) -> pb.EvaluationChange:
    better = change.direction.value == "better"
    return message_of(pb.EvaluationChange, change, better=better, grade_before=change.before, grade_now=change.now)


def _result(result: Result) -> pb.EvaluationResult:
    return message_of(pb.EvaluationResult, result)


def from_question(question: StoredQuestion) -> pb.ProposedQuestion:
    """A question with its origin."""
    return message_of(pb.ProposedQuestion, question)
