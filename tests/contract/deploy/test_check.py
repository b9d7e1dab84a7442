"""The smoke suite of `rag deploy check`, on a server that answers as one of ours does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag_core.database import open_store
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.settings import Settings
from ragctl.rollout.analysis import DefaultReleaseAnalyser
from ragctl.rollout.service import smoke
from ragctl.rollout.smoke import cited
from ragctl.rollout.targets.base import Server
from tests.real_servers.cluster.query_stand_in import QueryStandIn
from tests.support.postgres import temporary_database

HOST = f"127.{random.randrange(60, 250)}.{random.randrange(250)}.9"
SERVERS = [Server(f"{HOST}:50051", f"http://{HOST}:9464")]


@pytest.fixture
def settings(postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Settings]:
    given = {"deploy_credential": "a token", "deploy_burst_requests": 10, "deploy_latency_seconds": 10.0}
    with temporary_database(postgres_server) as url:
        yield Settings.model_validate({"database_url": url, "home": tmp_path, **given})


@pytest.fixture
def server() -> Iterator[QueryStandIn]:
    running = QueryStandIn(HOST, "r2")
    yield running
    running.drain()


@pytest.mark.usefixtures("server")
def test_a_server_that_answers_passes_the_suite(settings: Settings) -> None:
    with closing(open_store(settings)) as store:
        found = list(smoke(DefaultReleaseAnalyser(settings, store), SERVERS, SERVERS))
    assert [name for name, _ in found] == [
        f"smoke.{name}" for name in ("health", "v1", "v2", "golden", "burst", "metrics")
    ]
    assert all(result.passed for _, result in found)


def test_the_answer_that_is_asked_for_must_cite(settings: Settings, server: QueryStandIn) -> None:
    assert cited(settings, SERVERS).detail == "an answer cites handbook/leave.md"
    server.passages = []
    result = cited(settings, SERVERS)
    assert (result.reason, result.detail) == ("GREEN_WRONG", "there is no document that the credential may read")
