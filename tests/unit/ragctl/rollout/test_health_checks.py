"""The health checks of the images: what they ask, and that they cost little, because each runs every few seconds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pytest_httpserver import HTTPServer

from benchmarks.ports import free_port
from rag_core.errors import Unavailable
from rag_core.settings import Settings
from ragctl.container.health import PLACES, check

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
