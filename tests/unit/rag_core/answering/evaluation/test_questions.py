"""Files of questions: what they say, and how bad ones are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rag_core.answering.evaluation import load_questions, parse_question, question_files, tenants_with_files
from rag_core.answering.evaluation.questions import MAX_FILE_BYTES
from rag_core.errors import InvalidInput, Reason
from tests.support.hostile import processor_seconds

SHIPPED = Path(__file__).parents[5] / "benchmarks/answers/questions.yaml"


def test_yaml_and_jsonl_say_the_same(tmp_path: Path) -> None:
    row = {"question": "q", "id": "one", "expected": "e", "pattern": ["p+"], "source": "s", "tags": ["en"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n\n")
    (tmp_path / "a.yaml").write_text(json.dumps({"questions": [row]}))
    (tmp_path / "b.yaml").write_text(json.dumps([row]))
    read = [load_questions(tmp_path / name)[0] for name in ("a.jsonl", "a.yaml", "b.yaml")]
    assert len({(one.key, one.text, one.expected, one.sources, one.tags) for one in read}) == 1
    assert all(one.is_held_by("e and p") and not one.is_held_by("e") for one in read)


BOMB = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nquestions:\n- {question: *c, source: s}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {question: q}", "line 1: expected: give this"),
        ("- {question: q, expected: e, tags: unanswerable}", "line 1: expected: give this"),
        ("- {question: q, expected: e}\n\n- {question: p, pattern: '('}", "line 3: pattern: missing )"),
        ("- {question: q, pattern: '(?<=a)b'}", "no look-around"),
        ("- {question: q, pattern: '((a{99}){99}){99}'}", "line 1: pattern: "),
        ("- {question: q, answer: e}", "line 1: answer: "),
        ("- {question: q, expected: e}\n- {question: q, expected: f}", "line 2: is in line 1 already: q"),
        ("- {question: q, id: n, source: s}\n- {question: p, id: n, source: s}", "line 2: is in line 1 already: n"),
        ("- {question: n, source: s}\n- {question: p, id: n, source: s}", "line 2: is in line 1 already: n"),
        ("- {question: q, source: s}\n- [", "line 3: did not find"),
        ("- {question: q, source: s}\n- only text", "line 2: write a mapping"),
        ("- {question: q, source: s}\n- {question: 2012-99-99, source: s}", "line 2: "),
        ("- {question: !!python/object:os.system x, source: s}", "line 1: could not determine a constructor"),
        (BOMB, "line 5: question: "),
        ("- " * 3000, "line 1: "),
        ("questions: []", "no question"),
        ("", "line 1: write a list"),
        ("- {question: q, expected: ''}", "line 1: expected.0: "),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(message)) as caught:
        load_questions(path)
    assert caught.value.reason is Reason.QUESTIONS_INVALID


@pytest.mark.parametrize(
    "text", ['{"question": "q", "source": "s"}\n\n{"question":', '{"question": "q", "source": "s"}\n\n[]']
)
def test_a_malformed_line_of_jsonl_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(text)
    with pytest.raises(InvalidInput, match="line 3: "):
        load_questions(path)


def test_a_file_has_a_limit_of_questions_and_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(json.dumps({"question": f"q{number}", "source": "s"}) for number in range(100_000)))
    with pytest.raises(InvalidInput, match=r"line 5001: more than 5,000 questions \(RAG_EVALUATION_MAX_QUESTIONS\)"):
        load_questions(path)
    path.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(InvalidInput, match="larger than"):
        load_questions(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_questions(tmp_path / "none.yaml")


def test_a_pattern_takes_time_that_is_linear_in_the_answer() -> None:
    hostile = parse_question("q", patterns=["(a+)+(a|aa)+$"])
    assert processor_seconds(lambda: hostile.is_held_by("a" * 200_000 + "b"), limit=1) < 1


def test_a_tenant_has_its_own_files(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.jsonl", "notes.md", "acme/c.yml", "empty/notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in question_files(tmp_path, "default")] == ["a.jsonl", "b.yaml"]
    assert [path.name for path in question_files(tmp_path, "acme")] == ["c.yml"]
    assert tenants_with_files(tmp_path) == ["acme", "default"]
    assert tenants_with_files(tmp_path / "none") == []


def test_the_questions_of_the_project_are_in_two_languages() -> None:
    asked = load_questions(SHIPPED)
    assert len(asked) == 142
    tags = ("en", "zh", "default", "elsewhere", "manuals", "unanswerable")
    assert min(len(load_questions(SHIPPED, [tag])) for tag in tags) > 10
