"""Questions that feedback and headings propose, and what an operator decides about them."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from rag_core.answering.evaluation import (
    Judgement,
    StoredQuestion,
    Verdict,
    feedback_store,
    propose_from_headings,
    propose_from_rating,
    question_store,
)
from rag_core.answering.evaluation.proposals import as_question
from rag_core.errors import Conflict, Exhausted, InvalidInput, NotFound, Reason
from rag_core.exit_codes import Exit
from ragctl.app import run
from tests.support.pipeline import PipelineHarness

TENANT = "acme"
STORED = text("SELECT answer FROM rag.ratings WHERE id = :id")


def judgement(flow: PipelineHarness, *cited: str, good: bool = True, right: str = "", comment: str = "") -> Judgement:
    citations = [{"doc_id": str(flow.doc_id(name)), "version": 1, "start": 0, "end": 1} for name in cited]
    return Judgement(
        "how long is leave? ", "16 weeks", good, comment, "g", citations, flow.doc_id(right) if right else None
    )


def rate(flow: PipelineHarness, said: Judgement, actor: str = "ann", per_hour: int = 0) -> int:
    with flow.store.engine.begin() as connection:
        rating = feedback_store.add(connection, TENANT, actor, said, per_hour=per_hour).id
        propose_from_rating(connection, TENANT, rating, said)
    return rating


def listed(flow: PipelineHarness, state: Verdict = Verdict.PROPOSED) -> list[StoredQuestion]:
    with flow.store.engine.connect() as connection:
        return question_store.listed(connection, TENANT, state=state, limit=50)


@pytest.fixture
def handbook(flow: PipelineHarness) -> PipelineHarness:
    pages = {
        "leave.md": "# Introduction\n\nOf it.\n\n## How to ask for parental leave\n\nAsk.\n\n## Leave without pay\n\n-",
        "pumps.md": "# Introduction\n\nOf pumps.\n\n## 如何更换水泵的滤芯\n\n先断电。\n\n## Oil\n\nSeven litres.",
    }
    for name, body in pages.items():
        flow.connector.put(name, body, media_type="text/markdown")
    assert flow.run().balanced
    return flow


def test_a_rating_proposes_its_question_with_the_document_that_answers(handbook: PipelineHarness) -> None:
    rating = rate(handbook, judgement(handbook, "pumps.md", good=False, comment="that is a pump"))
    [one] = listed(handbook)
    assert (one.question, one.sources, one.note, one.rating) == ("how long is leave?", (), "that is a pump", rating)
    rate(handbook, judgement(handbook, "pumps.md", good=False, right="leave.md"), actor="bob")
    [one] = listed(handbook)
    assert one.sources == ("handbook/leave.md",), "one question, with the right document that bob named"
    rate(handbook, judgement(handbook, "pumps.md", good=False), actor="eve")
    assert listed(handbook)[0].sources == ("handbook/leave.md",), "and eve does not know better"


def test_a_second_rating_of_the_same_answer_replaces_the_first_and_is_never_refused(handbook: PipelineHarness) -> None:
    first = rate(handbook, judgement(handbook, "leave.md"), per_hour=1)
    assert rate(handbook, judgement(handbook, "leave.md", good=False), per_hour=1) == first
    with handbook.store.engine.connect() as connection:
        [rating] = feedback_store.newest(connection, TENANT, 10)
    assert not rating.judgement.good
    with pytest.raises(Exhausted) as caught:
        rate(handbook, Judgement("another question", "x", True, "", "g", []), per_hour=1)
    assert caught.value.reason is Reason.FEEDBACK_LIMIT
    rate(handbook, judgement(handbook, "leave.md"), actor="bob", per_hour=1)


def test_headings_propose_questions_that_one_document_answers(handbook: PipelineHarness) -> None:
    with handbook.store.engine.begin() as connection:
        assert propose_from_headings(connection, TENANT, limit=10) == 3
        assert propose_from_headings(connection, TENANT, limit=10) == 0, "they are proposed already"
    found = {one.question: one for one in listed(handbook)}
    assert set(found) == {
        "How do I ask for parental leave?",
        "What do the documents say about Leave without pay?",
        "如何更换水泵的滤芯？",
    }
    asked = found["How do I ask for parental leave?"]
    assert asked.sources == ("handbook/leave.md",)
    assert "generated" in asked.tags
    assert asked.doc_ids == (handbook.doc_id("leave.md"),)


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("Why it fails?", "Why it fails?"),
        ("Which ports are open", "Which ports are open?"),
        ("休假制度说明", "关于“休假制度说明”，文档怎么说？"),
    ],
)
def test_a_heading_is_asked_as_people_ask(heading: str, question: str) -> None:
    assert as_question(heading) == question


def test_only_visible_documents_are_spoken_of(handbook: PipelineHarness) -> None:
    with handbook.store.engine.begin() as connection:
        propose_from_headings(connection, TENANT, limit=10)
        seen = question_store.listed(connection, TENANT, state=None, limit=10, acl=["everyone"])
        hidden = question_store.listed(connection, TENANT, state=None, limit=10, acl=["user:stranger"])
    assert (len(seen), hidden) == (3, [])


def test_a_proposal_is_asked_once_an_operator_has_completed_and_accepted_it(
    handbook: PipelineHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rate(handbook, judgement(handbook, "pumps.md", good=False))
    [one] = listed(handbook)
    monkeypatch.setenv("RAG_DATABASE_URL", handbook.settings.database_url.get_secret_value())  # type: ignore[union-attr]
    tenant = ["--tenant", TENANT]
    assert run(["evaluate", "take", str(one.id), *tenant]) == Exit.WRONG_INPUT
    assert "QUESTIONS_INVALID: expected: give this, a pattern or a source" in capsys.readouterr().err
    assert run(["evaluate", "take", str(one.id), "--pattern", "(", *tenant]) == Exit.WRONG_INPUT
    assert "pattern: missing )" in capsys.readouterr().err
    assert run(["evaluate", "take", str(one.id), "--expected", "16 weeks", *tenant]) == 0
    assert run(["evaluate", "reject", str(one.id), *tenant]) == Exit.FAILED
    assert "QUESTION_DECIDED" in capsys.readouterr().err
    with handbook.store.engine.begin() as connection:
        [asked] = question_store.accepted(connection, TENANT, 10)
        assert (asked.text, asked.expected) == ("how long is leave?", ("16 weeks",))
        assert question_store.tenants(connection) == [TENANT]
        with pytest.raises(NotFound):
            question_store.get(connection, "other", one.id)
    capsys.readouterr()
    assert run(["evaluate", "questions", "--state", "accepted", "--json", *tenant]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "accepted"


def test_what_users_leave_is_deleted_after_its_time(handbook: PipelineHarness) -> None:
    rate(handbook, judgement(handbook, "leave.md"))
    with handbook.store.engine.begin() as connection:
        for table in ("ratings", "evaluation_questions"):
            connection.exec_driver_sql(f"UPDATE rag.{table} SET at = now() - interval '40 days'")  # noqa: S608
        for days, gone in ((41, 0), (39, 1)):
            assert feedback_store.purge(connection, days=days, keep_answers=False) == gone
            assert question_store.purge(connection, days=days) == gone


@pytest.mark.parametrize("kept", [False, True])
def test_the_text_of_a_rated_answer_is_stored_only_where_it_is_to_be_kept(
    handbook: PipelineHarness, kept: bool
) -> None:
    said = judgement(handbook, "leave.md")
    with handbook.store.engine.begin() as connection:
        first = feedback_store.add(connection, TENANT, "ann", said, keep_answer=kept)
        again = feedback_store.add(connection, TENANT, "ann", said, keep_answer=kept)
        assert (again.id, again.replaced) == (first.id, True), "it is recognised without its text"
        assert connection.scalar(STORED, {"id": first.id}) == ("16 weeks" if kept else "")
        feedback_store.purge(connection, days=39, keep_answers=False)
        assert connection.scalar(STORED, {"id": first.id}) == "", "the setting was changed"


def test_two_decisions_about_one_question_are_a_conflict(handbook: PipelineHarness) -> None:
    with handbook.store.engine.begin() as connection:
        propose_from_headings(connection, TENANT, limit=1)
        [one] = question_store.listed(connection, TENANT, state=None, limit=1)
        question_store.decide(connection, TENANT, one, Verdict.REJECTED, actor="ann")
        again = question_store.get(connection, TENANT, one.id)
        with pytest.raises(Conflict):
            question_store.decide(connection, TENANT, again, Verdict.ACCEPTED, actor="ann")
        assert propose_from_headings(connection, TENANT, limit=1) == 1, "another one, not the rejected"
        with pytest.raises(InvalidInput):
            StoredQuestion("q").parsed()
