"""What a person reads of a command's result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ragctl.local_stack.display import Lines
from ragctl.output import runnable, table


def test_tables_spell_truth_moments_and_nothing_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    shanghai = datetime(2026, 11, 25, 17, 30, tzinfo=timezone(timedelta(hours=8)))
    table(("a", "b", "c", "d"), [(True, False, None, shanghai)])
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row == ["yes", "no", "2026-11-25", "09:30", "UTC"]


def test_control_characters_of_a_cell_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "at"), [("a\x1b[2Jb", datetime(2026, 1, 2, tzinfo=UTC))])
    assert "\x1b" not in capsys.readouterr().out


def test_a_terminal_has_coloured_states_and_cut_names_and_a_pipe_has_all_of_both(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("handbook" * 9, "failed: no such folder", "Give it a folder that is there " * 3)]
    table(("name", "state", "what to do"), rows)
    piped = capsys.readouterr().out
    for name, value in {"COLUMNS": "72", "TERM": "xterm", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    table(("name", "state", "what to do"), rows)
    shown = capsys.readouterr().out
    assert ("\x1b[31m" in shown, "…" in shown) == (True, True)
    assert ("\x1b" in piped, "…" in piped) == (False, False)
    assert shown.count("is there") == 3, "a sentence is shown whole"


@pytest.mark.parametrize(
    ("called", "on_path", "shown"),
    [("bin/rag", "", "bin/rag"), ("bin/rag", "bin", "rag"), ("elsewhere/pytest", "", "rag")],
)
def test_commands_in_messages_and_examples_run_as_they_are_printed(
    called: str, on_path: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "rag"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / on_path) if on_path else "/nowhere")
    monkeypatch.setattr("sys.argv", [str(tmp_path / called)])
    assert runnable("run `rag up` first") == f"run `{shown} up` first"
    assert runnable("Example: rag down && rag up") == f"Example: {shown} down && {shown} up"
    assert runnable("a rag doll") == "a rag doll"


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
