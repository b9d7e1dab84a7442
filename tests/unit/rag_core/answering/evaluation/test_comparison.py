"""Two runs over the same questions: what changed, and whether chance explains it."""

from __future__ import annotations

import pytest

from rag_core.answering.evaluation import Direction, Grade, Result, changes, compare
from rag_core.answering.evaluation.comparison import chance_of


def results(grades: str, *, recall: float | None = None) -> list[Result]:
    """One question for each letter: right, closest, wrong, missed, abstained, - not graded."""
    known = {"r": Grade.RIGHT, "c": Grade.CLOSEST, "w": Grade.WRONG, "m": Grade.MISSED, "a": Grade.ABSTAINED}
    return [
        Result(f"q{number}", (), known.get(letter, Grade.NOT_GRADED), recall, recall, answer=f"{letter}{number}")
        for number, letter in enumerate(grades)
    ]


def test_the_questions_that_changed_come_with_both_answers_the_worse_first() -> None:
    found = changes(results("rwcr"), results("rrmr"))
    assert [(one.question, one.direction, one.before, one.now) for one in found] == [
        ("q2", Direction.WORSE, Grade.CLOSEST, Grade.MISSED),
        ("q1", Direction.BETTER, Grade.WRONG, Grade.RIGHT),
    ]
    assert (found[0].answer_before, found[0].answer_now) == ("c2", "m2")


def test_a_question_keeps_its_name_when_it_is_reworded() -> None:
    before = [Result("old words", (), Grade.RIGHT, None, None, id="leave")]
    [change] = changes(before, [Result("new words", (), Grade.WRONG, None, None, id="leave")])
    assert (change.question, change.before) == ("new words", Grade.RIGHT)


def test_of_a_question_about_retrieval_alone_the_rank_counts() -> None:
    [change] = changes(results("-", recall=1.0), results("-", recall=0.5))
    assert (change.direction, change.ndcg_before, change.ndcg_now) == (Direction.WORSE, 1.0, 0.5)


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ("r" * 40, "r" * 40, []),
        ("r" * 40, "m" * 4 + "r" * 36, []),  # four losses are chance
        ("r" * 40, "m" * 5 + "r" * 35, ["satisfied"]),
        ("r" * 20 + "m" * 20, "m" * 5 + "r" * 15 + "r" * 4 + "m" * 16, []),  # five lost, four gained
        ("a" * 40, "w" * 6 + "a" * 34, ["not_wrong"]),  # a wrong answer is worse than none
        ("r" * 400, "m" * 10 + "r" * 390, []),  # surely worse, by less than the tolerance
    ],
)
def test_a_run_is_worse_beyond_the_tolerance_and_beyond_chance(before: str, now: str, worse: list[str]) -> None:
    compared = compare(results(before), results(now), 0.03)
    assert [measure.name for measure in compared.worse] == worse


def test_only_questions_of_both_runs_are_compared() -> None:
    compared = compare(results("rrrrrr"), results("mmmmmm")[:2], 0.0)
    assert [(one.questions, one.lost) for one in compared.measures if one.name == "satisfied"] == [(2, 2)]
    assert str(compare([], results("r"), 0.0)) == "no question in common"


def test_sources_that_are_found_no_more_are_worse_too() -> None:
    compared = compare(results("-" * 8, recall=1.0), results("-" * 8, recall=0.5), 0.03)
    assert [measure.name for measure in compared.worse] == ["recall"]
    assert "recall 1.000 -> 0.500 (8 lost, 0 gained of 8; p 0.004)" in str(compared)


def test_the_chance_is_that_of_a_coin() -> None:
    assert chance_of(0, 0) == 1
    assert chance_of(5, 0) == pytest.approx(1 / 32)
    assert chance_of(1, 1) == pytest.approx(0.75)
