"""The check of the code location, against Dagster's own code server as every installation starts it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from benchmarks.ports import free_port
from rag_assets.defs.sources.files import reload_code
from rag_core.errors import Unavailable
from rag_core.settings import Settings
from ragctl.container.health import check
from ragctl.local_stack.services import CODE_SERVER
from ragctl.local_stack.watchdog import answers
from tests.support.postgres import die_with_parent

GOOD = "import dagster as dg\n\ndefs = dg.Definitions()\n"
BROKEN = "raise FileNotFoundError('Service token file does not exist')\n"


@contextmanager
def code_server(folder: Path, port: int, code: str) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "location.py").write_text(code)
    where = ["-h", "127.0.0.1", "-p", str(port), "-f", str(folder / "location.py")]
    command = [sys.executable, "-P", "-m", "rag_assets.code_server", *where]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, preexec_fn=die_with_parent)
        try:
            yield server
        finally:
            server.terminate()
            server.wait(60)


def test_a_code_server_that_answers_but_could_not_load_its_code_is_not_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("RAG_CODE_LOCATION_PORT", str(port))
    with code_server(tmp_path, port, BROKEN) as server:
        assert "could not be loaded" in _finding(server)
        assert answers(Settings(), f"{CODE_SERVER}127.0.0.1:{port}"), "to start it again would change nothing"


@pytest.mark.catalogue("A23")
def test_a_code_server_whose_child_was_killed_is_not_healthy_and_ends_to_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("RAG_CODE_LOCATION_PORT", str(port))
    with code_server(tmp_path, port, GOOD) as server:
        assert _finding(server) == ""
        address = f"{CODE_SERVER}127.0.0.1:{port}"
        assert answers(Settings(), address)
        [child] = psutil.Process(server.pid).children()
        child.suspend()
        assert not answers(Settings(), address), "a child that hangs is for the watchdog, which waits longer"
        child.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            check("dagster-code")
        assert server.wait(120) == 1


def test_a_code_location_that_is_asked_to_reload_reads_its_code_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, port = tmp_path / "loads", free_port()
    monkeypatch.setenv("RAG_CODE_LOCATION_PORT", str(port))
    counted = f"from pathlib import Path\n\nwith Path({str(loads)!r}).open('a') as file:\n    file.write('x')\n"
    with code_server(tmp_path, port, counted + GOOD) as server:
        assert _finding(server) == ""
        before = len(loads.read_text())
        reload_code(port)
        assert len(loads.read_text()) > before
        assert _finding(server) == ""


def _finding(server: subprocess.Popen[bytes]) -> str:
    """What the check finds wrong as soon as the server answers; nothing when it is healthy."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert server.poll() is None
        try:
            check("dagster-code")
        except Unavailable as error:
            if "does not answer" not in error.message:
                return error.message
        else:
            return ""
        time.sleep(0.2)
    pytest.fail("the code server does not answer")
