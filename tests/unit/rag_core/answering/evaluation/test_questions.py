"""Files of questions: what they say, and how bad ones are refused. A few of the project's own questions, asked of
their documents with the real model, so that every change of an answerer, a chunker or the search meets them. `rag
evaluate` asks all of them (docs/how-to/evaluate-answers.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rag_core.answering.evaluation import (
    SATISFIED,
    Grade,
    load_questions,
    parse_question,
    question_files,
    tenants_with_files,
)
from rag_core.answering.evaluation.questions import MAX_FILE_BYTES
from rag_core.content.chunking import open_chunker
from rag_core.content.embedding import open_embedder
from rag_core.errors import InvalidInput, Reason
from rag_core.http_client import UNRESTRICTED
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.promotion.asking import Asker, OwnQuestions
from rag_core.settings import Settings
from tests.support.generations import GenerationHarness, word_transforms
from tests.support.hostile import processor_seconds
from tests.support.models import model_dir, model_home
from tests.support.pipeline import PipelineHarness

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


__all__ = ["model_dir", "model_home"]
ROOT = Path(__file__).parents[5]
ADDING = ("add-a-sql-source", "add-a-website-source", "add-a-kafka-source")
PAGES = ("README.zh-CN.md", *(f"docs/how-to/{name}.md" for name in (*ADDING, "backup-and-restore", "run-locally")))

KNOWN_WRONG = {"How do I restore from a backup?"}
"""It is answered with the first paragraph of its section, not with the commands below. No other may be wrong."""


def test_the_fast_questions_are_answered_from_their_documents(flow: PipelineHarness, model_home: Path) -> None:
    settings = Settings(home=model_home)
    embedder, chunker = open_embedder(settings), open_chunker(settings)
    try:
        own = Transforms(lambda: embedder, lambda: chunker, word_transforms().generation_config)
        for name in PAGES:
            flow.connector.put(name, (ROOT / name).read_text("utf-8"), media_type="text/markdown")
        assert GenerationHarness(flow, own).run().balanced
        asked = OwnQuestions("acme", ("everyone",), tuple(load_questions(SHIPPED, ["fast"])))
        results = Asker(flow.index, str(flow.index.alias()), embedder, flow.settings, UNRESTRICTED).ask(asked)
    finally:
        embedder.close()
    assert len(results) == 10
    grades = {one.question: one.grade for one in results}
    assert sum(grade in SATISFIED for grade in grades.values()) >= 8, grades
    assert {one.question for one in results if one.grade is Grade.WRONG} <= KNOWN_WRONG, grades
    assert {one.grade for one in results if "unanswerable" in one.tags} == {Grade.RIGHT}, grades
    assert [one.question for one in results if one.recall == 0] == []
