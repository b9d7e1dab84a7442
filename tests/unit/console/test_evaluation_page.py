"""The page Evaluation: runs, what changed with both answers, and decisions about questions."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from console.presenters import evaluation as presenters
from ragproto.admin.v1 import evaluation_pb2 as pb
from ragproto.query.v2 import curation_pb2 as curation
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, interpreted, opened


def figures(satisfied: float) -> pb.EvaluationFigures:
    return pb.EvaluationFigures(questions=4, graded=4, satisfied=satisfied, wrong=0.25, grades={"right": 3, "wrong": 1})


def run(number: int, satisfied: float, **changes: object) -> pb.EvaluationRun:
    made = pb.EvaluationRun(id=number, origin="schedule", name="own questions", generation="g1", **changes)  # type: ignore[arg-type]
    made.figures.CopyFrom(figures(satisfied))
    made.tags["en"].CopyFrom(figures(satisfied))
    made.at.FromSeconds(1_700_000_000 + number)
    return made


def scripted(platform: Platform, text: str = "How long is leave?") -> None:
    change = pb.EvaluationChange(
        question=text, grade_before="right", grade_now="missed", answer_before=f"16 weeks {text}", answer_now=text
    )
    gained = pb.EvaluationChange(question="Which oil?", better=True, grade_before="wrong", grade_now="closest")
    result = pb.EvaluationResult(question=text, grade="missed", answer=text, tags=[text])
    worse = run(2, 0.5, worse=True, detail=f"worse {text}")
    question = pb.ProposedQuestion(id=7, question=text, note=text, sources=["handbook/leave.md"], origin="feedback")
    platform.gateway.peer.operations |= {
        "ListEvaluationRuns": pb.ListEvaluationRunsResponse(runs=[worse, run(1, 0.75, accepted=True)]),
        "GetEvaluationRun": pb.GetEvaluationRunResponse(
            run=worse, before=run(1, 0.75), changes=[change, gained], unsatisfied=[result]
        ),
        "ListProposedQuestions": pb.ListProposedQuestionsResponse(questions=[question]),
    }


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("1 worse, 1 better than in run 1", "Before: right", "Now: closest passages without it")),
        ("zh", ("与第 1 次评测相比：1 个变差，1 个变好", "之前：正确", "现在：最接近的内容中没有")),
    ],
)
def test_the_newest_run_shows_each_changed_question_with_the_answer_before_and_after(
    app: AppTest, platform: Platform, language: str, said: tuple[str, ...]
) -> None:
    scripted(platform)
    app.session_state["language"] = language
    opened(app, "evaluation")
    assert not app.exception
    captions = [item.value for item in app.caption]
    assert all(any(sentence in caption for caption in captions) for sentence in said)
    texts = [item.value for item in app.text]
    assert texts[1:4] == ["▼ How long is leave?", "16 weeks How long is leave?", "How long is leave?"]
    assert "▲ Which oil?" in texts


def test_a_run_is_accepted_only_with_a_reason(app: AppTest, platform: Platform) -> None:
    scripted(platform)
    opened(app, "evaluation")
    app.button(key="accept-2-do").click().run()
    asked = [name for name, _ in platform.gateway.peer.asked]
    assert "AcceptEvaluationRun" not in asked
    app.text_input(key="accept-2-why").input("the old chapters are gone")
    app.button(key="accept-2-do").click().run()
    [request] = [request for name, request in platform.gateway.peer.asked if name == "AcceptEvaluationRun"]
    assert (request.id, request.reason) == (2, "the old chapters are gone")


def test_without_a_run_the_page_says_what_follows(app: AppTest, platform: Platform) -> None:
    opened(app, "evaluation")
    assert any("nothing is refused for its answers" in item.value for item in app.info)


@pytest.mark.catalogue("S35")
def test_questions_and_answers_of_others_are_text(app: AppTest, platform: Platform) -> None:
    scripted(platform, HOSTILE)
    opened(app, "evaluation")
    assert not app.exception
    assert "attacker" not in interpreted(app)
    assert "onerror" not in interpreted(app)


def test_rows_of_figures_have_the_difference_to_the_run_before() -> None:
    rows = presenters.tag_rows(run(2, 0.5), run(1, 0.75))
    assert [(row["tag"], row["moved"], row["n_right"]) for row in rows] == [("", -0.25, 3), ("en", -0.25, 3)]
    assert presenters.tag_rows(run(2, 0.5), None)[0]["moved"] is None
    assert [row["at"] for row in presenters.series([run(2, 0.5), run(1, 0.75)])] == [1_700_000_001, 1_700_000_002]
    assert presenters.series([pb.EvaluationRun(origin="gate")]) == []
    assert presenters.lines(" a \n\n b") == ["a", "b"]


def test_an_answer_is_written_for_a_question_that_another_page_leads_here_with(
    app: AppTest, platform: Platform
) -> None:
    scripted(platform)
    one = curation.Curation(id=3, questions=[HOSTILE], action=curation.CURATION_ACTION_ANSWER, answer=HOSTILE,
                            acl=["everyone"], owner=HOSTILE)  # fmt: skip
    platform.gateway.peer.operations |= {
        "ListCurations": curation.ListCurationsResponse(curations=[one]),
        "SaveCuration": curation.SaveCurationResponse(curation=one),
    }
    app.query_params["curate"] = "How long is leave?"
    opened(app, "evaluation")
    app.text_area(key="curation-0-answer").input("16 **weeks**")
    app.text_input(key="curation-0-acl").input("group:hr, user:ann")
    app.text_input(key="curation-0-why").input("asked every week")
    next(item for item in app.button if item.label == "Save").click().run()
    [saved] = [request for name, request in platform.gateway.peer.asked if name == "SaveCuration"]
    made = saved.curation
    assert (list(made.questions), made.answer, made.id) == (["How long is leave?"], "16 **weeks**", 0)
    assert (made.action, list(made.acl), saved.reason) == (
        curation.CURATION_ACTION_ANSWER, ["group:hr", "user:ann"], "asked every week",
    )  # fmt: skip
    assert "http://attacker" not in interpreted(app)  # escaped, where it is said
    assert not app.exception
