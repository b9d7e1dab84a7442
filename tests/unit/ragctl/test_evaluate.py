"""`rag evaluate` against a scripted server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rag_core.exit_codes import Exit
from ragctl.app import run
from ragproto.query.v2 import query_pb2 as v2
from tests.support.wire import WirePeer
from tests.unit.ragctl.test_query import closest

pytestmark = pytest.mark.usefixtures("database")
QUESTIONS = [
    {"question": "How much leave?", "expected": "25 days", "source": "leave.md", "tags": ["en", "leave"]},
    {"question": "Which oil?", "pattern": "oil <\\w+>", "source": "pumps.pdf", "tags": "en"},
    {"question": "Who won?", "tags": ["en", "unanswerable"]},
]


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, QUESTIONS)))
    return path


def evaluated(capsys: pytest.CaptureFixture[str], file: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    code = run(["evaluate", "--questions", str(file), "--json", *options])
    shown = capsys.readouterr()
    return code, json.loads(shown.out), shown.err


def test_answers_are_graded_and_compared_with_the_last_run(
    peer: WirePeer, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.passages = [v2.Passage(source="handbook", locator="leave.md")]
    citation = v2.Citation(number=1, quote="You get 25 days.")
    peer.answers("25 days [1]", answered=v2.AnswerFinal.Answered(citations=[citation]))
    code, first, _ = evaluated(capsys, file)
    assert code == 0
    assert [one["answer"] for one in first["results"]] == ["25 days [1]"] * 3
    assert [one["grade"] for one in first["results"]] == ["right", "wrong", "wrong"]
    assert (first["figures"]["recall"], first["tags"]["leave"]["recall"]) == (0.5, 1)
    assert first["before"] is None
    closest(peer)
    code, second, said = evaluated(capsys, file, "--at-least", "satisfied=0.6", "--at-most", "wrong=0.1")
    assert [one["grade"] for one in second["results"]] == ["missed", "closest", "right"]
    assert second["before"]["figures"] == first["figures"]
    assert [(one["direction"], one["before"], one["now"]) for one in second["changes"]] == [
        ("worse", "right", "missed"), ("better", "wrong", "closest"), ("better", "wrong", "right"),
    ]  # fmt: skip
    assert (second["changes"][0]["answer_before"], second["changes"][0]["answer_now"]) == ("25 days [1]", "streamed")
    assert (code, second["missed_limits"]) == (0, [])
    assert "no document of tenant default is at leave.md, pumps.pdf" in said


def test_a_limit_that_is_missed_is_named_and_fails(
    peer: WirePeer, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers("", abstained=v2.AnswerFinal.Abstained(reason="NO_RESULTS"))
    code, _, said = evaluated(capsys, file, "--at-least", "satisfied=0.6")
    assert (code, said.splitlines()[-1]) == (1, "satisfied is 0.333, at least 0.6 is wanted")
    assert run(["evaluate", "--questions", str(file), "--at-least", "happy=1"]) == Exit.WRONG_INPUT
    assert "FIELD_INVALID" in capsys.readouterr().err


def test_a_person_reads_figures_by_tag_and_what_is_not_satisfied(
    peer: WirePeer, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closest(peer)
    assert run(["evaluate", "--questions", str(file), "--tag", "en"]) == 0
    assert run(["evaluate", "--questions", str(file), "--tag", "en"]) == 0
    shown = capsys.readouterr().out
    assert "unanswerable" in shown
    assert "missed" in shown
    assert "no question changed" in shown
    assert run(["evaluate", "runs"]) == 0
    assert capsys.readouterr().out.count("questions.jsonl") == 2


def test_a_run_that_is_worse_than_chance_explains_fails_when_asked_to(
    peer: WirePeer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps({"question": f"q{n}", "tags": ["unanswerable"]}) for n in range(6)))
    peer.answers("", abstained=v2.AnswerFinal.Abstained(reason="NO_RESULTS"))
    assert evaluated(capsys, path, "--not-worse")[0] == 0
    peer.answers("made up [1]", answered=v2.AnswerFinal.Answered())
    code, report, said = evaluated(capsys, path, "--not-worse")
    assert (code, report["worse"]) == (1, True)
    assert "worse than the last run: satisfied 1.000 -> 0.000 (6 lost, 0 gained of 6; p 0.016)" in said
    assert run(["evaluate", "show", str(report["run"])]) == 0
    assert "worse" in capsys.readouterr().out


def test_an_accepted_run_is_audited_and_a_missing_one_is_refused(
    peer: WirePeer, file: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    closest(peer)
    _, report, _ = evaluated(capsys, file)
    assert run(["evaluate", "accept", str(report["run"]), "--reason", "the old chapters are gone"]) == 0
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT details, target FROM rag.audit WHERE action = 'evaluation.accept'").fetchall()
    [(details, target)] = rows
    assert (details["reason"], target) == ("the old chapters are gone", str(report["run"]))
    assert run(["evaluate", "accept", "999", "--reason", "none"]) == Exit.NOT_FOUND
    assert "EVALUATION_NOT_FOUND" in capsys.readouterr().err


def test_without_a_file_the_own_questions_are_asked_and_their_absence_is_said(
    peer: WirePeer, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate"]) == Exit.WRONG_INPUT
    assert "tenant default has no questions of its own; give --questions FILE" in capsys.readouterr().err
    (tmp_path / "questions").mkdir()
    file.rename(tmp_path / "questions" / "own.jsonl")
    closest(peer)

    def asked(*options: str) -> Any:
        assert run(["evaluate", "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    first = asked()
    assert (first["name"], first["top_k"]) == ("own questions", 10)
    assert asked("--top-k", "3")["before"] is None, "recall among three passages is another figure"
    assert asked()["before"]["run"] == first["run"]
