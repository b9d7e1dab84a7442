"""Messages of admin.v1.EvaluationService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from query_server.converters.fields import message_of
from ragproto.admin.v1 import evaluation_pb2 as pb

if TYPE_CHECKING:
    from query_server.handlers.admin.evaluation import ComparedRun
    from rag_core.answering.evaluation import Change, Result, Run, StoredQuestion


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
