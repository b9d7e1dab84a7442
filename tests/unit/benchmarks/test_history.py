"""A run of the benchmarks is compared with the last one by a ratio. Reports say what was measured, where and whether
it is enough."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.history import compare
from benchmarks.report import Report, Table, Target, collecting, show
from rag_core.errors import InvalidInput
from ragctl.envelope import ENVELOPE


def of(ratio: float, share: float, failed: float = 0) -> list[Report]:
    targets = (
        Target("ratio", ratio, 1.1, "the limit"),
        Target("share", share, 0.6, "the limit", at_least=True),
        Target("failed", failed, 0, "a count"),
    )
    return [Report("bench test", targets=targets, command="rag bench test")]


def test_the_first_run_is_compared_with_nothing_and_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.json"
    assert compare(path, of(9, 0.1, 4), 1.5) == []
    assert compare(path, of(9, 0.1, 4), 1.5) == []


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        (of(1.4, 0.7), []),
        (of(0.1, 9), []),
        (of(1.6, 0.9), ["bench test: ratio: 1.6, 1 in the last run"]),
        (of(1, 0.5), ["bench test: share: 0.5, 0.9 in the last run"]),
        (of(1, 0), ["bench test: share: 0, 0.9 in the last run"]),
        (of(1, 0.9, 1), ["bench test: failed: 1, 0 in the last run"]),
    ],
)
def test_a_target_that_is_worse_by_more_than_the_ratio_is_named(
    tmp_path: Path, now: list[Report], worse: list[str]
) -> None:
    path = tmp_path / "last.json"
    compare(path, of(1, 0.9), 1.5)
    assert compare(path, now, 1.5) == worse
    assert [line for line in compare(path, now, 1.5) if "failed" not in line] == [], "it has the new figures"


def test_what_the_last_run_did_not_measure_is_not_compared_and_stays_known(tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    compare(path, of(1, 0.9), 1.5)
    assert compare(path, [Report("another", targets=(Target("new", 7, 1, "a peer"),))], 1.5) == []
    assert compare(path, of(2, 0.9), 1.5) != []


def test_a_file_without_figures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.json"
    for text in ("nothing", "[]", '{"bench test": 3}', '{"bench test": {"ratio": "fast"}}'):
        path.write_text(text)
        with pytest.raises(InvalidInput, match="holds no figures"):
            compare(path, of(1, 1), 1.5)


def test_reports_that_are_shown_are_collected(capsys: pytest.CaptureFixture[str]) -> None:
    (report,) = of(1, 1)
    with collecting() as found:
        show(report, as_json=True)
    show(report, as_json=True)
    assert found == [report]
    assert capsys.readouterr().out


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
