"""Questions of a file, and the grades of their answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rag_core.errors import InvalidInput, Reason
from rag_core.evaluation.grading import Grade, Result, Shown, changes, figures, grade, missed_limits, retrieval
from rag_core.evaluation.questions import EvaluationQuestion, load_questions

SHIPPED = Path(__file__).parents[3] / "benchmarks/answers/questions.yaml"
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


def test_limits_and_changes_compare_with_what_was_measured() -> None:
    results = [Result("a", (), Grade.RIGHT, None, None), Result("b", (), Grade.WRONG, None, None)]
    found = figures(results)
    assert (found.satisfied, found.wrong, found.recall) == (0.5, 0.5, None)
    assert missed_limits(found, ["satisfied=0.5"], ["wrong=0.5"]) == []
    assert len(missed_limits(found, ["satisfied=0.6", "recall=0.1"], ["wrong=0.4"])) == 3
    before = [{"question": "a", "grade": "missed"}, {"question": "b", "grade": "wrong"}]
    assert changes(before, results) == [{"question": "a", "before": "missed", "now": "right"}]
    with pytest.raises(InvalidInput):
        missed_limits(found, ["happy=1"], [])


def test_yaml_and_jsonl_say_the_same(tmp_path: Path) -> None:
    row = {"question": "q", "expected": "e", "pattern": ["p+"], "source": "s", "tags": ["en"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n\n")
    (tmp_path / "a.yaml").write_text(json.dumps({"questions": [row]}))
    (tmp_path / "b.yaml").write_text(json.dumps([row]))
    assert len({str(load_questions(tmp_path / name)) for name in ("a.jsonl", "a.yaml", "b.yaml")}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {question: q}", "question 1: needs expected"),
        ("- {question: q, expected: e, tags: unanswerable}", "question 1: needs expected"),
        ("- {question: q, expected: e}\n- {question: p, pattern: '('}", "question 2: pattern:"),
        ("- {question: q, answer: e}", "question 1: answer: "),
        ("- {question: q, expected: e}\n- {question: q, expected: f}", "asked twice"),
        ("- [", "while parsing"),
        ("questions: []", "no question"),
        ("", "valid list"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(message)) as caught:
        load_questions(path)
    assert caught.value.reason is Reason.QUESTIONS_INVALID


def test_the_questions_of_the_project_are_100_in_two_languages() -> None:
    asked = load_questions(SHIPPED)
    assert len(asked) == 142
    tags = ("en", "zh", "default", "elsewhere", "manuals", "unanswerable")
    assert min(len(load_questions(SHIPPED, [tag])) for tag in tags) > 10
