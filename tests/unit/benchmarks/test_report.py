"""Reports say what was measured, where and whether it is enough."""

from __future__ import annotations

import json

import pytest

from benchmarks.report import Report, Table, Target, show
from ragctl.envelope import ENVELOPE


@pytest.fixture
def report() -> Report:
    table = Table("Speeds", ("what", "figure"), (("[red]text[/red]", 1.23456), ("nothing", None)))
    targets = (Target("ratio", 1.05, 1.1, "the limit"), Target("share", 0.5, 0.6, "the limit", at_least=True))
    return Report("bench test", (table,), targets, ("a note",), command="rag bench test")


def test_targets_know_their_direction(report: Report) -> None:
    assert [target.met for target in report.targets] == [True, False]


def test_text_shows_command_machine_figures_and_misses(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    show(report, as_json=False)
    text = capsys.readouterr().out
    for part in ("rag bench test", "cores", "1.235", "[red]text[/red]", "MISSED", "note: a note"):
        assert part in text


def test_json_carries_the_same(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    show(report, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["machine"]["cores"] >= 1
    assert [target["met"] for target in document["targets"]] == [True, False]
    assert document["tables"][0]["rows"][1] == ["nothing", None]


def test_output_json_is_one_document_around_it(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ENVELOPE, "active", True)
    monkeypatch.setattr(ENVELOPE, "documents", [])
    show(report, as_json=True)
    assert capsys.readouterr().out == ""
    assert json.loads(ENVELOPE.render(None))["data"]["command"] == "rag bench test"
