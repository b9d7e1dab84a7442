"""`rag deploy check` on servers that are found by name, as a Job of another deployer runs it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.database.embedded.server import EmbeddedPostgres
from ragctl.app import run
from tests.real_servers.cluster.query_stand_in import QueryStandIn
from tests.support.postgres import temporary_database


@pytest.fixture
def environment(postgres_server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with temporary_database(postgres_server) as url:
        given = {"RAG_DATABASE_URL": url, "RAG_HOME": str(tmp_path), "RAG_DEPLOY_CREDENTIAL": "a token"}
        for name, value in {**given, "RAG_DEPLOY_BURST_REQUESTS": "10", "RAG_DEPLOY_LATENCY_SECONDS": "10"}.items():
            monkeypatch.setenv(name, value)
        yield


def test_every_address_of_the_name_is_put_through_the_smoke_suite(
    environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.{random.randrange(60, 250)}.{random.randrange(250)}.9"
    server = QueryStandIn(address, "r2")
    try:
        code = run(["deploy", "check", "--candidate", address, "--serving", address, "--json"])
    finally:
        server.drain()
    said = capsys.readouterr()
    assert code == 0, said
    found = json.loads(said.out)
    assert [*found.get("data", found)] == [
        f"smoke.{name}" for name in ("health", "v1", "v2", "golden", "burst", "metrics")
    ]


def test_the_answer_that_is_asked_for_must_cite(environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.{random.randrange(60, 250)}.{random.randrange(250)}.9"
    server = QueryStandIn(address, "r2")
    asked = ["deploy", "check", "--candidate", address, "--cited", "0.1"]
    try:
        assert run(asked) == 0
        assert "smoke.cited: an answer cites handbook/leave.md" in capsys.readouterr().out
        server.passages = []
        assert run(asked) != 0
        assert "GREEN_WRONG: smoke.cited: there is no document" in capsys.readouterr().err
    finally:
        server.drain()


def test_a_name_without_a_server_is_no_pass(environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["deploy", "check", "--candidate", "nobody.invalid"]) != 0
    assert "TARGET_UNAVAILABLE" in capsys.readouterr().err
