"""What a person reads of a command's result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ragctl.local_stack.display import Lines
from ragctl.output import table


def test_tables_spell_truth_moments_and_nothing_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    shanghai = datetime(2026, 11, 25, 17, 30, tzinfo=timezone(timedelta(hours=8)))
    table(("a", "b", "c", "d"), [(True, False, None, shanghai)])
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row == ["yes", "no", "2026-11-25", "09:30", "UTC"]


def test_control_characters_of_a_cell_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "at"), [("a\x1b[2Jb", datetime(2026, 1, 2, tzinfo=UTC))])
    assert "\x1b" not in capsys.readouterr().out


def test_long_work_in_a_log_gives_a_line_only_when_it_has_moved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragctl.local_stack.display._PLAIN_INTERVAL_SECONDS", 0.0)
    lines = Lines()
    for done in (0, 0, 0, 64, 64, 128):
        lines.progress("ingest packages", done, 128, "texts embedded")
    shown = capsys.readouterr().err.split("\n")
    assert [line.split()[2] for line in shown if line] == ["0/128", "64/128", "128/128"]


def test_a_log_shows_at_once_what_is_waited_for_and_figures_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for done, doing in (
        (0, "queued"), (0, "queued"), (0, "its process starts"), (1, "embedding 10 % (9 s left)"),
        (2, "embedding 20 % (8 s left)"), (2, "checking what was indexed"),
    ):  # fmt: skip
        lines.progress("ingest handbook", done, None, f"documents; {doing}")
    shown = [line.partition("; ")[2] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["queued", "its process starts", "embedding 10 % (9 s left)", "checking what was indexed"]
