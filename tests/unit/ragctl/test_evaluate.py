"""`rag evaluate` against a scripted server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragctl.app import run
from ragproto.query.v2 import query_pb2 as v2
from tests.support.wire import WirePeer
from tests.unit.ragctl.test_query import answers, closest, peer

__all__ = ["peer"]
QUESTIONS = [
    {"question": "How much leave?", "expected": "25 days", "source": "leave.md", "tags": ["en", "leave"]},
    {"question": "Which oil?", "pattern": "oil <\\w+>", "source": "pumps.pdf", "tags": "en"},
    {"question": "Who won?", "tags": ["en", "unanswerable"]},
]


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
    answers(peer, "25 days [1]", answered=v2.AnswerFinal.Answered(citations=[citation]))
    code, first, _ = evaluated(capsys, file)
    assert code == 0
    assert [one["grade"] for one in first["results"]] == ["right", "wrong", "wrong"]
    assert (first["figures"]["recall"], first["tags"]["leave"]["recall"]) == (0.5, 1)
    assert first["before"] is None
    closest(peer)
    code, second, said = evaluated(capsys, file, "--at-least", "satisfied=0.6", "--at-most", "wrong=0.1")
    assert [one["grade"] for one in second["results"]] == ["missed", "closest", "right"]
    assert second["before"]["figures"] == first["figures"]
    assert [(one["before"], one["now"]) for one in second["changes"]] == [
        ("right", "missed"), ("wrong", "closest"), ("wrong", "right"),
    ]  # fmt: skip
    assert (code, said) == (0, "")


def test_a_limit_that_is_missed_is_named_and_fails(
    peer: WirePeer, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(peer, "", abstained=v2.AnswerFinal.Abstained(reason="NO_RESULTS"))
    code, _, said = evaluated(capsys, file, "--at-least", "satisfied=0.6")
    assert (code, said) == (1, "satisfied is 0.333, at least 0.6 is wanted\n")
    assert run(["evaluate", "--questions", str(file), "--at-least", "happy=1"]) == 1
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
    assert "every grade is as it was" in shown
