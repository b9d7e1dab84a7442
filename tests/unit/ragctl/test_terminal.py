"""Logs, doctor, completion and the estimate of an ingest, as a person at a terminal meets them. What a person reads of
a command's result."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from rag_core.content.sources import Source
from rag_core.content.sources import store as sources
from rag_core.database import open_store
from rag_core.ingestion.source_status import RunState, SourceRun
from rag_core.ingestion.source_status import store as source_rows
from rag_core.settings import Settings
from ragctl.app import run
from ragctl.commands.logs import appended
from ragctl.local_stack import estimate as estimating
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.display import Lines
from ragctl.local_stack.doctor import DoctorCheck, examine
from ragctl.local_stack.estimate import estimate
from ragctl.output import runnable, table


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    return tmp_path


def checks(home: Path) -> dict[str, DoctorCheck]:
    settings = Settings.load()
    return {check.name: check for check in examine(settings, DataDir.of(settings))}


def test_the_newest_lines_of_a_service_are_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "logs").mkdir()
    (home / "logs" / "console.log").write_text("".join(f"line {number}\n" for number in range(100_000)))
    (home / "logs" / "query-server-0.log").write_text("\x1b[32mone\x1b[0m\x1b[2J\ntwo\n")
    assert run(["logs", "console", "-n", "2"]) == 0
    assert capsys.readouterr().out == "line 99998\nline 99999\n"
    assert run(["logs", "query-server"]) == 0
    assert capsys.readouterr().out == "one\\x1b[2J\ntwo\n"
    assert run(["logs", "-n", "1", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == [
        {"service": "console", "line": "line 99999"},
        {"service": "query-server-0", "line": "two"},
    ]


def test_a_log_that_there_is_none_of_says_which_there_are(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs"]) == 6
    assert "rag up" in capsys.readouterr().err
    (home / "logs").mkdir()
    (home / "logs" / "console.log").write_text("")
    assert run(["logs", "consol"]) == 5
    assert capsys.readouterr().err == "rag: SERVICE_NOT_FOUND: no service 'consol' writes a log; there are: console\n"
    assert run(["logs", "-f", "--output", "json"]) == 2
    assert run(["logs", "-n", "-1"]) == 2


def test_what_is_written_later_is_followed_also_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("before\n")
    lines: Iterator[tuple[Path, str]] = appended({log: log.stat().st_size})
    found: list[str] = []
    done = threading.Event()

    def follow() -> None:
        for _, line in lines:
            found.append(line)
            if line == "after rotation":
                done.set()
                return

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    with log.open("a") as file:
        file.write("hal")
        file.flush()
        file.write("f\nwhole\n")
    log.with_name("b").write_text("after rotation\n")
    while "whole" not in found and reader.is_alive():
        reader.join(0.05)
    log.with_name("b").replace(log)
    assert done.wait(20)
    assert found == ["half", "whole", "after rotation"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("approve-deletions", "doctor", "follow"))
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_a_completion_script_is_installed_for_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["completion", "bash", "--install", "--output", "json"]) == 0
    place = Path(json.loads(capsys.readouterr().out)["data"]["installed"])
    assert place.is_relative_to(tmp_path)
    assert "approve-deletions" in place.read_text()


def test_a_page_is_opened_in_the_browser_or_its_address_printed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_CONSOLE_PORT", "8765")
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert run(["open", "console"]) == 0
    output = capsys.readouterr()
    assert output.out == "http://127.0.0.1:8765\n"
    assert "open this address yourself" in output.err
    assert run(["open", "kitchen"]) == 2


def test_a_machine_that_can_run_the_stack_has_no_failed_check(
    home: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port_factory: Callable[[], int]
) -> None:
    for name in ("GATEWAY", "DAGSTER", "CONSOLE", "QUERY", "METRICS", "POSTGRES", "ENVOY_ADMIN", "INDEX",
                 "GATEWAY_INTERNAL", "INTERFACES", "INDEX_METRICS", "STREAM_METRICS", "CODE_LOCATION"):  # fmt: skip
        monkeypatch.setenv(f"RAG_{name}_PORT", str(unused_tcp_port_factory()))
    found = checks(home)
    assert set(found) == {
        *("versions", "extras", "sources", "connectors", "ports", "disk", "memory", "open files", "clock"),
        *("permissions", "platform", "stack", "source states"),
    }
    assert [check for check in found.values() if check.state == "failed"] == []
    assert (found["stack"].state, found["source states"].state) == ("warning", "warning")
    assert "rag up" in found["stack"].remedy


def test_a_taken_port_and_readable_secrets_fail_with_a_remedy(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "secrets").mkdir()
    (home / "secrets" / "key").write_text("secret")
    (home / "secrets" / "key").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("RAG_CONSOLE_PORT", str(port))
        assert run(["doctor", "--output", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    by_name = {check["name"]: check for check in found["data"]}
    assert found["error"]["reason"] == "CHECK_FAILED"
    assert by_name["ports"]["state"] == "failed"
    assert f"port {port} is taken" in by_name["ports"]["detail"]
    assert "RAG_CONSOLE_PORT" in by_name["ports"]["detail"]
    assert "chmod 600" in by_name["permissions"]["remedy"]
    assert "secret" not in by_name["permissions"]["detail"].replace("the secrets", "")


def test_a_source_that_fails_is_a_failed_check_with_its_remedy(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    now = datetime.now(UTC)
    observed = [source_rows.Observation("acme", name, "filesystem", True, True, False, None) for name in ("bad", "new")]
    failed = SourceRun(
        0, "r1", RunState.FAILED, now, now, now, None, "SOURCE_UNAVAILABLE", "the bucket refuses the key"
    )
    with closing(open_store(Settings.load())) as store, store.engine.begin() as connection:
        source_rows.observe(connection, observed)
        source_rows.record_runs(connection, "acme", "bad", [failed])
    assert run(["doctor"]) == 1
    assert "nothing to do" not in capsys.readouterr().out
    check = checks(home)["source bad"]
    assert (check.state, "the bucket refuses the key" in check.detail) == ("failed", True)
    assert check.remedy
    assert "source new" not in checks(home)


@pytest.mark.catalogue("A18")
def test_a_wrong_source_file_is_a_failed_check_and_the_others_are_made(home: Path) -> None:
    (home / "sources").mkdir()
    (home / "sources" / "bad.yaml").write_text("type: nonsense\n")
    found = checks(home)
    assert found["sources"].state == "failed"
    assert "sources/bad.yaml" in found["sources"].detail
    assert found["versions"].state == "ok"


def test_a_source_whose_file_is_wrong_has_a_state_with_what_to_do(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The database is down, so it is not known which sources no file configures."""
    (home / "sources").mkdir()
    (home / "sources" / "bad.yaml").write_text("type: nonsense\n")
    assert run(["source", "status", "--output", "json"]) == 6
    [row] = json.loads(capsys.readouterr().out)["data"]
    assert (row["name"], row["state"], row["reason"]) == ("bad", "failed", "CONFIG_INVALID")
    assert "sources/bad.yaml" in row["message"]
    assert row["remedy"]


def test_of_very_many_sources_the_state_of_those_that_need_no_look_is_a_number(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    (home / "sources").mkdir()
    names = [f"folder-{number:02}" for number in range(60)]
    for name in [*names, "never-read"]:
        options = {"kind": "folder", "root": str(home)}
        attributes = {"name": name, "tenant": "acme", "options": options}
        file = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
        (home / "sources" / f"{name}.yaml").write_text(json.dumps(file))
    with closing(open_store(Settings.load())) as store, store.engine.begin() as connection:
        for name in names:
            sources.configure(connection, Source(name, "acme", "filesystem"), "run")
            sources.finish(connection, "acme", name)
    assert run(["source", "status"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("60 sources are up to date; `rag source list` names them\n")
    assert "never-read" in said
    assert not [name for name in names if name in said]
    assert run(["source", "status", "folder-07"]) == 0
    assert "folder-07" in capsys.readouterr().out
    assert run(["source", "status", "--output", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["data"]) == 61


def test_an_ingest_is_estimated_from_what_its_files_hold(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("docs")
    prose = "A pump moves a liquid from one place to another, and a valve stops it. " * 60
    for number in range(40):
        (folder / f"{number}.md").write_text(f"# Chapter {number}\n\n{prose}")
        (folder / f"{number}.bin").write_bytes(b"\x7fELF" + bytes(4000))
    found = estimate(folder, Settings.load())
    assert found.documents == 40, "what cannot be read is none"
    assert 250 <= found.chunks <= 600
    assert found.seconds
    assert not found.long
    assert found.fits
    assert found.describe().startswith("about 40 documents (")


def test_files_that_are_all_large_are_estimated_by_their_text_too(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "book.txt").write_text("Pump 7 needs oil every five days.\n\n" * (estimating.SAMPLE_BYTES // 30))
    found = estimate(folder, Settings.load())
    assert found.documents == 1
    assert found.chunks > 1000


def test_a_large_folder_is_long_and_said_so_before_anything_starts(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "a.txt").write_text("A pump moves a liquid from one place to another. " * 1000)
    for number in range(1000):
        (folder / f"{number}.txt").hardlink_to(folder / "a.txt")
    found = estimate(folder, Settings.load())
    assert found.documents == 1001
    assert found.long


def test_a_folder_that_does_not_fit_on_the_disk_is_refused_before_anything_starts(
    home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "a.txt").write_text("A pump moves a liquid from one place to another. " * 1000)
    disk = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk._replace(free=100_000))
    assert run(["up", "--docs", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "about 1 documents" in error
    assert "(100.0 kB free)" in error
    assert "rag: STORAGE_FULL: the folder does not fit" in error
    assert list((home / "sources").iterdir()) == []
    assert not (home / "run" / "stack.json").exists()


def test_a_folder_that_is_not_walked_to_its_end_in_time_is_long(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "a.txt").write_text("A pump.")
    monkeypatch.setattr(estimating, "WALK_SECONDS", -1.0)
    found = estimate(folder, Settings.load())
    assert found.bounded
    assert found.long
    assert found.describe().startswith("more than ")


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
