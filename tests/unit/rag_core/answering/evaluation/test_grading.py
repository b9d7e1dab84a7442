"""The grades of answers, and their figures."""

from __future__ import annotations

import re

import pytest

from rag_core.answering.evaluation.grading import Grade, Result, Shown, figures, grade, missed_limits, retrieval
from rag_core.answering.evaluation.questions import EvaluationQuestion
from rag_core.errors import InvalidInput

GOLD = "It lasts 16  weeks."
ELSE = "Something else."


def question(*tags: str, expected: str = "16 WEEKS", sources: tuple[str, ...] = ("leave.md",)) -> EvaluationQuestion:
    return EvaluationQuestion("How long?", (expected,) if expected else (), (), sources, tags)


@pytest.mark.parametrize(
    ("shown", "places", "expected"),
    [
        (Shown.ANSWERED, [GOLD, ELSE], Grade.RIGHT),
        (Shown.ANSWERED, [ELSE, GOLD], Grade.PARTLY),
        (Shown.ANSWERED, [ELSE], Grade.WRONG),
        (Shown.CLOSEST, [ELSE, GOLD, ELSE], Grade.CLOSEST),
        (Shown.CLOSEST, [ELSE, ELSE, GOLD], Grade.PARTLY),
        (Shown.CLOSEST, [ELSE], Grade.MISSED),
        (Shown.NOTHING, [], Grade.ABSTAINED),
        (Shown.FAILED, [], Grade.FAILED),
    ],
)
def test_an_answer_is_graded_by_the_place_that_holds_what_was_expected(
    shown: Shown, places: list[str], expected: Grade
) -> None:
    assert grade(question(), shown, places) is expected


def test_an_answer_in_pieces_is_right_when_together_they_hold_all() -> None:
    both = EvaluationQuestion("Compare", ("one", "two"), (re.compile("t.o"),), (), ())
    assert grade(both, Shown.ANSWERED, ["one", "two"]) is Grade.RIGHT


def test_a_question_without_answer_is_right_as_long_as_nothing_is_claimed() -> None:
    asked = question("unanswerable", expected="")
    grades = [grade(asked, shown, [ELSE]) for shown in (Shown.NOTHING, Shown.CLOSEST, Shown.ANSWERED)]
    assert grades == [Grade.RIGHT, Grade.RIGHT, Grade.WRONG]


def test_retrieval_counts_a_document_once_and_only_where_a_source_is_named() -> None:
    places = ["handbook/other.md", "handbook/other.md", "handbook/leave.md"]
    found, gain = retrieval(question(), places, 10)
    assert found == 1
    assert gain == pytest.approx(0.6309, abs=1e-4)
    assert retrieval(question(), places, 1) == (0, gain)
    assert retrieval(question(sources=()), places, 10) == (None, None)
    assert grade(question(expected=""), Shown.ANSWERED, [ELSE]) is Grade.NOT_GRADED


def test_limits_compare_with_what_was_measured() -> None:
    results = [Result("a", (), Grade.RIGHT, None, None), Result("b", (), Grade.WRONG, None, None)]
    found = figures(results)
    assert (found.satisfied, found.wrong, found.recall) == (0.5, 0.5, None)
    assert missed_limits(found, ["satisfied=0.5"], ["wrong=0.5"]) == []
    assert len(missed_limits(found, ["satisfied=0.6", "recall=0.1"], ["wrong=0.4"])) == 3
    with pytest.raises(InvalidInput):
        missed_limits(found, ["happy=1"], [])
