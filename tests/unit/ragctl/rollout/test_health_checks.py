"""The health checks of the images: what they ask, and that they cost little, because each runs every few seconds. The
check of the code location, against Dagster's own code server as every installation starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest
from pytest_httpserver import HTTPServer

from benchmarks.ports import free_port
from rag_assets.defs.sources.files import reload_code
from rag_core.errors import Unavailable
from rag_core.settings import Settings
from ragctl.container.health import PLACES, check
from ragctl.local_stack.services import CODE_SERVER
from ragctl.local_stack.watchdog import answers
from tests.support.postgres import die_with_parent

PAGES = {role: path for role, (_, _, path) in PLACES.items() if path}
EXPENSIVE = {"grpc", "httpx", "pydantic", "sqlalchemy", "structlog"}


@pytest.mark.parametrize("role", PLACES)
def test_a_role_is_asked_at_the_port_of_its_setting(role: str) -> None:
    variable, port, _ = PLACES[role]
    assert Settings.model_fields[variable.removeprefix("RAG_").lower()].default == port


@pytest.mark.parametrize("role", PAGES)
def test_a_role_is_healthy_when_its_page_says_so(
    role: str, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACES[role][0], str(httpserver.port))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # loopback is asked directly
    httpserver.expect_oneshot_request(PAGES[role]).respond_with_data("ok")
    check(role)
    httpserver.expect_oneshot_request(PAGES[role]).respond_with_data("database: no answer", status=503)
    with pytest.raises(Unavailable, match="HTTP 503: database: no answer"):
        check(role)
    monkeypatch.setenv(PLACES[role][0], str(free_port()))
    with pytest.raises(Unavailable, match=r"no answer \(ConnectionRefusedError\)"):
        check(role)
    monkeypatch.setenv(PLACES[role][0], "ninety")
    with pytest.raises(Unavailable, match=r"no answer \(InvalidURL\)"):
        check(role)


def test_a_check_loads_no_more_than_it_needs(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_data("ok")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-P", "-m", "ragctl.container", "health", "interfaces"],
        env={**os.environ, "RAG_INTERFACES_PORT": str(httpserver.port)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "urllib" in loaded
    assert loaded & EXPENSIVE == set()


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


@pytest.mark.catalogue("A23")
@pytest.mark.timeout(300)  # three starts of a process that imports Dagster
def test_a_code_server_is_healthy_while_its_code_is_loaded_and_its_child_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("RAG_CODE_LOCATION_PORT", str(port))
    address = f"{CODE_SERVER}127.0.0.1:{port}"
    with code_server(tmp_path, port, BROKEN) as server:
        assert "could not be loaded" in _finding(server)
        assert answers(Settings(), address), "to start it again would change nothing"

        (tmp_path / "location.py").write_text(GOOD)
        reload_code(port)
        assert _finding(server) == "", "asked to reload, it has read its code again"
        known = _server_id(port)
        reload_code(port)
        assert _server_id(port) != known, "by which webserver and daemon notice other definitions"
        assert answers(Settings(), address)

        child = max(
            psutil.Process(server.pid).children(), key=lambda one: one.create_time()
        )  # the old one may still end
        child.suspend()
        assert not answers(Settings(), address), "a child that hangs is for the watchdog, which waits longer"
        child.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            check("dagster-code")
        assert server.wait(120) == 1, "it ends to be started again"


def _server_id(port: int) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary("/api.DagsterApi/GetServerId", bytes, bytes)
        found, again = ask(b"", timeout=30), ask(b"", timeout=30)
    assert found == again
    return found


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
