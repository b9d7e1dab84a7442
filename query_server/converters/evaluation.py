"""Messages of admin.v1.EvaluationService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from query_server.converters.times import to_timestamp
from ragproto.admin.v1 import evaluation_pb2 as pb

if TYPE_CHECKING:
    from query_server.handlers.admin.evaluation import ComparedRun
    from rag_core.evaluation import Change, Result, Run, StoredQuestion


def from_run(run: Run) -> pb.EvaluationRun:
    """A run without its questions."""
    return pb.EvaluationRun(
        id=run.id,
        at=to_timestamp(run.at),
        origin=run.origin,
        actor=run.actor,
        name=run.name,
        series=run.series,
        generation=run.generation,
        answerer=run.answerer,
        top_k=run.top_k,
        figures=_figures(run.figures),
        tags={tag: _figures(found) for tag, found in run.tags.items()},
        worse=run.worse,
        detail=run.detail,
        accepted=run.accepted,
    )


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
    return pb.EvaluationChange(
        question=change.question,
        better=change.direction.value == "better",
        grade_before=change.before.value,
        grade_now=change.now.value,
        answer_before=change.answer_before,
        answer_now=change.answer_now,
    )


def _result(result: Result) -> pb.EvaluationResult:
    return pb.EvaluationResult(
        question=result.question,
        tags=result.tags,
        grade=result.grade.value,
        recall=result.recall,
        answer=result.answer,
    )


def from_question(question: StoredQuestion) -> pb.ProposedQuestion:
    """A question with its origin."""
    return pb.ProposedQuestion(
        id=question.id,
        at=to_timestamp(question.at),
        question=question.question,
        expected=question.expected,
        patterns=question.patterns,
        sources=question.sources,
        tags=question.tags,
        origin=question.origin.value,
        note=question.note,
        state=question.state.value,
        decided_by=question.decided_by,
    )
