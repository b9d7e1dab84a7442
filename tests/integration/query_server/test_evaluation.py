"""Feedback of callers, and EvaluationService: what operators see of runs and decide about questions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag_core.answering.evaluation import Grade, Result, Run, run_store
from rag_core.database import Store, open_store
from rag_core.ids import document_id
from rag_core.settings import Settings
from ragproto.admin.v1 import evaluation_pb2, evaluation_pb2_grpc, operations_pb2, operations_pb2_grpc
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.integration.query_server.test_operations import fill  # noqa: F401
from tests.support.query_server import RunningServer, failing, running

VIEWER, OPERATOR, ADMIN = ["query.read", "ops.read"], ["query.read", "ops.read", "ops.write"], ["query.read", "admin"]
VAULT, HR = (str(document_id("acme", "handbook", name)) for name in ("vault.md", "hr.md"))
FOREIGN = str(document_id("other", "handbook", "canary.md"))
SAID: dict[str, Any] = {"question": "When does the vault open?", "answer": "At nine. [1]", "helpful": True}


@pytest.fixture
def server(tmp_path: Path, store: Store, database_url: str) -> Iterator[RunningServer]:
    settings = Settings(home=tmp_path, database_url=database_url)
    with running(tmp_path / "home", open_store=lambda: open_store(settings), feedback_per_hour=3) as started:
        yield started


class Caller:
    """One caller of feedback, evaluation and operations."""

    def __init__(self, server: RunningServer, **who: Any) -> None:
        self._server, self._who = server, {"tenant": "acme", "scopes": ["query.read"]} | who

    def __getattr__(self, name: str) -> Any:
        modules: tuple[tuple[Any, Any], ...] = (
            (query_pb2, query_pb2_grpc.QueryServiceStub),
            (evaluation_pb2, evaluation_pb2_grpc.EvaluationServiceStub),
            (operations_pb2, operations_pb2_grpc.OperationsServiceStub),
        )
        module, stub = next(each for each in modules if hasattr(each[0], f"{name}Request"))
        method, request = getattr(stub(self._server.channel), name), getattr(module, f"{name}Request")
        return lambda **fields: method(request(**fields), metadata=self._server.auth(**self._who), timeout=20)

    def refused(self, name: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
        failure = failing(lambda: getattr(self, name)(**fields))
        return failure.code, failure.reason


def spans(*doc_ids: str) -> list[query_pb2.SendFeedbackRequest.Span]:
    return [query_pb2.SendFeedbackRequest.Span(doc_id=one, version=3, start=0, end=9) for one in doc_ids]


def test_feedback_is_the_callers_own_once_for_an_answer_and_proposes_its_question(server: RunningServer) -> None:
    caller, viewer = Caller(server), Caller(server, scopes=VIEWER)
    assert not caller.SendFeedback(**SAID, citations=spans(VAULT)).replaced
    worse = SAID | {"helpful": False, "comment": "it is ten now", "right_doc_id": VAULT}
    assert caller.SendFeedback(**worse).replaced
    [rating] = viewer.ListRatings().ratings
    assert (rating.actor, rating.judgement.good, rating.judgement.right_doc_id) == ("ann", False, VAULT)
    [question] = viewer.ListProposedQuestions().questions
    assert (question.question, list(question.sources)) == (SAID["question"], ["handbook/vault.md"])
    assert (question.origin, question.state) == ("feedback", "proposed")
    other = Caller(server, tenant="other", scopes=ADMIN)
    assert not other.ListProposedQuestions().questions
    assert not other.ListRatings().ratings


@pytest.mark.parametrize("named", [{"citations": spans(FOREIGN)}, {"right_doc_id": FOREIGN}, {"right_doc_id": HR},
                                   {"citations": spans(str(uuid.UUID(int=7)))}])  # fmt: skip
def test_feedback_about_what_the_caller_may_not_see_is_refused_and_leaves_nothing(
    server: RunningServer, named: dict[str, Any]
) -> None:
    assert Caller(server).refused("SendFeedback", **SAID, **named) == (grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND")
    assert not Caller(server, scopes=VIEWER).ListRatings().ratings
    assert not Caller(server, scopes=ADMIN).ListProposedQuestions().questions


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"question": " "}, "FIELD_INVALID"),
        ({"question": "x" * 8193}, "FIELD_INVALID"),
        ({"question": "a\0b"}, "TEXT_INVALID"),
        ({"answer": "x" * 100_001}, "FIELD_INVALID"),
        ({"comment": "x" * 8193}, "FIELD_INVALID"),
        ({"helpful": None}, "FIELD_INVALID"),
        ({"right_doc_id": "../etc"}, "FIELD_INVALID"),
        ({"citations": spans("x")}, "FIELD_INVALID"),
        ({"citations": spans(*[VAULT] * 101)}, "FIELD_INVALID"),
    ],
)
def test_bad_feedback_is_typed(server: RunningServer, changed: dict[str, Any], reason: str) -> None:
    fields = {name: value for name, value in (SAID | changed).items() if value is not None}
    assert Caller(server).refused("SendFeedback", **fields) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


def test_one_caller_may_rate_so_many_answers_an_hour(server: RunningServer) -> None:
    caller = Caller(server)
    for number in range(3):
        caller.SendFeedback(**SAID | {"answer": f"{number}"})
    refused = caller.refused("SendFeedback", **SAID | {"answer": "4"})
    assert refused == (grpc.StatusCode.RESOURCE_EXHAUSTED, "FEEDBACK_LIMIT")
    assert caller.SendFeedback(**SAID | {"answer": "0"}).replaced, "the same answer again is no further one"
    assert not Caller(server, subject="bob").SendFeedback(**SAID).replaced


def add_runs(store: Store) -> tuple[int, int]:
    """Two runs over three questions; the second lost one and quotes a document that not everybody may read."""
    figures = {"questions": 3, "graded": 3, "satisfied": 1.0, "wrong": 0.0, "grades": {"right": 3}, "recall": 0.5,
               "ndcg": None}  # fmt: skip
    first = Run("acme", "schedule", "dagster:1", "own questions", "own", "g1", "a", 10, figures, {"en": figures})
    old = [Result(f"q{n}", ("en",), Grade.RIGHT, None, None, answer=f"old {n}") for n in range(3)]
    secret = (document_id("acme", "handbook", "hr.md"),)
    new = [
        Result("q0", ("en",), Grade.WRONG, None, None, answer="secret", doc_ids=secret),
        Result("q1", ("en",), Grade.RIGHT, None, None, answer="new 1"),
        Result("q2", ("en",), Grade.ABSTAINED, None, None),
    ]
    with store.engine.begin() as db:
        before = run_store.add(db, first, old, keep=9)
        second = Run("acme", "command", "ann", "own questions", "own", "g2", "a", 10, figures, {},
                     compared_with=before.id, worse=True, detail="satisfied 1.000 -> 0.333")  # fmt: skip
        return before.id, run_store.add(db, second, new, keep=9).id


def test_a_run_is_shown_with_the_questions_that_changed(server: RunningServer, store: Store) -> None:
    first, second = add_runs(store)
    viewer = Caller(server, scopes=VIEWER)
    listed = viewer.ListEvaluationRuns().runs
    assert [(run.id, run.worse) for run in listed] == [(second, True), (first, False)]
    assert listed[1].tags["en"].recall == 0.5
    assert not listed[1].figures.HasField("ndcg")
    found = viewer.GetEvaluationRun(id=second)
    assert found.before.id == first
    assert [(one.question, one.better, one.grade_now, one.answer_before) for one in found.changes] == [
        ("q0", False, "wrong", "old 0"), ("q2", False, "abstained", "old 2"),
    ]  # fmt: skip
    assert [one.question for one in found.unsatisfied] == ["q0", "q2"]
    assert viewer.refused("GetEvaluationRun", id=2**40) == (grpc.StatusCode.NOT_FOUND, "EVALUATION_NOT_FOUND")
    other = Caller(server, tenant="other", scopes=ADMIN)
    assert not other.ListEvaluationRuns().runs
    assert other.refused("GetEvaluationRun", id=second)[1] == "EVALUATION_NOT_FOUND"


def test_an_answer_is_shown_to_those_who_may_read_what_it_quotes(server: RunningServer, store: Store) -> None:
    _, second = add_runs(store)
    answers = {
        str(who): Caller(server, **who).GetEvaluationRun(id=second).changes[0].answer_now  # type: ignore[arg-type]
        for who in ({"scopes": VIEWER}, {"scopes": VIEWER, "groups": ["hr"]}, {"scopes": ADMIN})
    }
    assert list(answers.values()) == ["", "secret", "secret"]


def test_a_run_is_accepted_with_a_reason_that_is_on_record(server: RunningServer, store: Store) -> None:
    _, second = add_runs(store)
    operator = Caller(server, scopes=OPERATOR)
    assert operator.refused("AcceptEvaluationRun", id=second, reason=" ")[1] == "FIELD_INVALID"
    assert operator.AcceptEvaluationRun(id=second, reason="the old chapters are gone").run.accepted
    [record] = operator.ListAudit(action="evaluation.").records
    assert (record.actor, record.target, record.details["reason"]) == (
        "acme/ann", str(second), "the old chapters are gone",
    )  # fmt: skip
    other = Caller(server, tenant="other", scopes=OPERATOR)
    assert other.refused("AcceptEvaluationRun", id=second, reason="mine")[1] == "EVALUATION_NOT_FOUND"


def test_an_operator_completes_and_decides_about_questions(server: RunningServer) -> None:
    operator = Caller(server, scopes=OPERATOR)
    Caller(server).SendFeedback(**SAID | {"helpful": False})
    [one] = operator.ListProposedQuestions().questions
    assert operator.refused("DecideQuestion", id=one.id, accept=True)[1] == "QUESTIONS_INVALID"
    assert operator.refused("DecideQuestion", id=one.id, accept=True, patterns=["("])[1] == "QUESTIONS_INVALID"
    assert operator.refused("DecideQuestion", id=one.id, accept=True, expected=["x"] * 21)[1] == "FIELD_INVALID"
    decided = operator.DecideQuestion(id=one.id, accept=True, expected=["nine"], tags=["en"]).question
    assert (list(decided.expected), decided.state, decided.decided_by) == (["nine"], "accepted", "acme/ann")
    assert operator.refused("DecideQuestion", id=one.id) == (grpc.StatusCode.FAILED_PRECONDITION, "QUESTION_DECIDED")
    assert [each.id for each in operator.ListProposedQuestions(state="accepted").questions] == [one.id]
    assert operator.refused("ListProposedQuestions", state="nice")[1] == "FIELD_INVALID"
    [record] = operator.ListAudit(action="evaluation.").records
    assert record.action == "evaluation.question_accepted"


def test_a_question_that_the_list_hides_is_not_shown_by_deciding_about_it(server: RunningServer) -> None:
    insider = Caller(server, scopes=OPERATOR, groups=["hr"])
    insider.SendFeedback(**SAID | {"helpful": False, "right_doc_id": HR})
    [one] = insider.ListProposedQuestions().questions
    operator = Caller(server, scopes=OPERATOR)
    assert not operator.ListProposedQuestions().questions
    for accept in (True, False):
        found = operator.refused("DecideQuestion", id=one.id, accept=accept, expected=["nine"])
        assert found == (grpc.StatusCode.NOT_FOUND, "QUESTION_NOT_FOUND")
    assert insider.DecideQuestion(id=one.id).question.state == "rejected"


def test_questions_are_proposed_from_headings_on_request(server: RunningServer, store: Store) -> None:
    with store.engine.begin() as db:
        db.exec_driver_sql("UPDATE rag.documents SET blocks = '[[\"heading\", 0, 23, 2]]' WHERE locator = 'vault.md'")
    operator = Caller(server, scopes=OPERATOR)
    assert operator.ProposeQuestions().proposed == 1
    [one] = operator.ListProposedQuestions().questions
    assert (one.question, one.tags[0]) == (
        "What do the documents say about The vault opens at nine?",
        "generated",
    )
    assert operator.refused("ProposeQuestions", count=201)[1] == "FIELD_INVALID"


def test_a_question_is_saved_accepted_and_saved_again_in_its_place(server: RunningServer) -> None:
    operator = Caller(server, scopes=OPERATOR)
    parts: dict[str, Any] = {"expected": ["at nine"], "sources": ["handbook/vault.md"], "doc_ids": [VAULT]}
    saved = operator.SaveQuestion(question="When does the vault open? ", **parts).question
    assert (saved.question, saved.state, list(saved.expected)) == ("When does the vault open?", "accepted", ["at nine"])
    assert saved.decided_by == "acme/ann"
    again = operator.SaveQuestion(question=saved.question, **parts | {"expected": ["at ten"]}).question
    assert (again.id, list(again.expected)) == (saved.id, ["at ten"])
    [listed] = operator.ListProposedQuestions(state="accepted").questions
    assert listed == again
    [record, _] = operator.ListAudit(action="evaluation.question_saved").records
    assert (record.actor, record.target) == ("acme/ann", str(saved.id))


def test_what_feedback_proposed_is_accepted_by_saving_it_and_what_was_rejected_stays(server: RunningServer) -> None:
    operator = Caller(server, scopes=OPERATOR)
    operator.SendFeedback(**SAID)
    [proposed] = operator.ListProposedQuestions().questions
    assert operator.SaveQuestion(question=SAID["question"], expected=["nine"]).question.id == proposed.id
    operator.SendFeedback(**SAID | {"question": "Who has the key?"})
    [other] = operator.ListProposedQuestions().questions
    operator.DecideQuestion(id=other.id, accept=False)
    refused = operator.refused("SaveQuestion", question="Who has the key?", expected=["Ann"])
    assert refused == (grpc.StatusCode.FAILED_PRECONDITION, "QUESTION_DECIDED")


@pytest.mark.parametrize(("fields", "reason"), [
    ({"question": " ", "expected": ["x"]}, "FIELD_INVALID"),
    ({"question": "q" * 8193, "expected": ["x"]}, "FIELD_INVALID"),
    ({"question": "q"}, "QUESTIONS_INVALID"),
    ({"question": "q", "patterns": ["("]}, "QUESTIONS_INVALID"),
    ({"question": "q", "expected": ["x"] * 21}, "FIELD_INVALID"),
    ({"question": "q", "expected": ["x"], "doc_ids": ["nonsense"]}, "FIELD_INVALID"),
    ({"question": "q", "expected": ["x"], "doc_ids": [VAULT] * 101}, "FIELD_INVALID"),
    ({"question": "q", "expected": ["x"], "doc_ids": [HR]}, "DOCUMENT_NOT_FOUND"),
    ({"question": "q", "expected": ["x"], "doc_ids": [FOREIGN]}, "DOCUMENT_NOT_FOUND"),
])  # fmt: skip
def test_a_question_that_cannot_be_saved_is_a_typed_error(
    server: RunningServer, fields: dict[str, Any], reason: str
) -> None:
    operator = Caller(server, scopes=OPERATOR)
    assert operator.refused("SaveQuestion", **fields)[1] == reason
    assert not operator.ListProposedQuestions(state="accepted").questions
