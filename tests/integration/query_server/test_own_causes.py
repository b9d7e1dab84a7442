"""A server that cannot answer for causes of its own is not ready; what all replicas would see only degrades it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.database import open_store
from rag_core.errors import DataCorruption, Reason
from rag_core.governance.access import revoke_tokens
from rag_core.retrieval.index import GenerationSpec
from rag_core.settings import Settings
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.postgres import outage, temporary_database
from tests.support.query_server import Doc, RunningServer, failing, failure, fill, no_store, running
from tests.support.waiting import eventually

DOCS = [Doc("The bell rings at nine.", locator="bell.txt")]


def ready(server: RunningServer) -> dict[str, Any]:
    url = f"http://127.0.0.1:{server.ports.metrics}/ready"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))


def serving(server: RunningServer) -> bool:
    query = health_pb2.HealthCheckRequest(service="ragproto.query.v2.QueryService")
    status = health_pb2_grpc.HealthStub(server.channel).Check(query, timeout=10).status
    return bool(status == health_pb2.HealthCheckResponse.SERVING)


def search(server: RunningServer, **claims: Any) -> v2.SearchResponse:
    stub = v2_grpc.QueryServiceStub(server.channel)
    return stub.Search(v2.SearchRequest(query="bell"), metadata=server.auth(**claims), timeout=20)


def refused(call: Callable[[], object]) -> tuple[str, str]:
    found = failing(call)
    return found.code.name, found.reason


def test_a_server_that_never_read_the_revocations_is_not_ready_and_answers_nobody(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, open_store=no_store, informed=False) as server:
        assert (ready(server)["ready"], ready(server)["reasons"]) == (False, ["REVOCATIONS_UNKNOWN"])
        assert not serving(server)
        assert refused(lambda: search(server)) == ("UNAVAILABLE", "REVOCATIONS_UNKNOWN")


@pytest.mark.catalogue("A07")
def test_a_server_started_in_an_outage_serves_no_revoked_token_then_or_later(tmp_path: Path) -> None:
    with temporary_database() as url, ExitStack() as stack:
        settings = Settings(home=tmp_path, database_url=url)
        with closing(open_store(settings)) as store, store.engine.begin() as connection:
            revoke_tokens(connection, tenant="acme", subject="eve", lifetime=600, actor="test")
        issued_before = {"subject": "eve", "now": time.time() - 30}
        with outage(url):
            opened = running(tmp_path / "server", docs=DOCS, open_store=lambda: open_store(settings), informed=False)
            server = stack.enter_context(opened)
            assert refused(lambda: search(server, **issued_before)) == ("UNAVAILABLE", "REVOCATIONS_UNKNOWN")
        assert eventually(lambda: ready(server)["ready"])
        assert refused(lambda: search(server, **issued_before)) == ("UNAUTHENTICATED", "TOKEN_REVOKED")
        assert search(server).passages


def test_an_outage_after_the_revocations_were_read_stops_neither_searches_nor_readiness(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS) as server, outage(server.database_url):
        assert search(server).passages
        assert ready(server)["ready"]


def test_revocations_older_than_the_limit_are_refused_with_the_outage_as_the_reason(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, acl_max_age_seconds=0.5) as server, outage(server.database_url):
        assert eventually(lambda: failure(lambda: search(server)))
        assert refused(lambda: search(server)) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
        assert ready(server)["ready"], "every replica would see the same"


def test_a_server_that_nobody_asks_follows_readers_before_their_old_generation_is_retired(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS) as server:
        fill(server.index, DOCS, server.embedder, "g2")
        server.index.drop("g1")
        assert search(server).generation == "g2"
        assert eventually(lambda: ready(server)["generation"] == "g2")
        assert ready(server)["ready"]


def test_a_server_without_the_query_model_of_the_active_generation_is_not_ready_until_it_has_it(
    tmp_path: Path,
) -> None:
    with running(tmp_path, docs=DOCS) as server:
        foreign = FakeEmbedder(version="of another release")
        server.index.create(GenerationSpec("g2", foreign.dimensions, foreign.fingerprint, "chunker"))
        server.index.promote("g2")
        assert eventually(lambda: ready(server)["reasons"] == ["EMBEDDER_UNAVAILABLE"])
        assert not serving(server)
        assert search(server).generation == "g1", "complete, and right until now"
        server.index.drop("g1")
        assert eventually(lambda: failure(lambda: search(server)))
        assert refused(lambda: search(server)) == ("UNAVAILABLE", "EMBEDDER_UNAVAILABLE")
        fill(server.index, DOCS, server.embedder, "g3")
        assert eventually(lambda: ready(server)["ready"])
        assert serving(server)
        assert search(server).generation == "g3"


class ForgetfulIndex:
    """The real index, which has lost its generations but not its alias."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def generations(self) -> list[GenerationSpec]:
        return [] if self.lost else list(self._index.generations())


class DamagedIndex(ForgetfulIndex):
    """The real index, which meets damage when it is searched."""

    def search(self, request: Any) -> Any:
        if self.lost:
            raise DataCorruption(Reason.INDEX_CORRUPT, "a file is cut")
        return self._index.search(request)


def test_damage_that_only_a_search_meets_is_named_and_makes_the_server_not_ready(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, wrap=DamagedIndex) as server:
        assert search(server).passages
        assert ready(server)["ready"]
        server.index.lost = True  # type: ignore[attr-defined]
        assert refused(lambda: search(server)) == ("DATA_LOSS", "INDEX_CORRUPT")
        assert eventually(lambda: ready(server)["reasons"] == ["INDEX_CORRUPT"])


def test_an_index_whose_active_generation_is_gone_makes_the_server_not_ready(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, wrap=ForgetfulIndex) as server:
        assert ready(server)["ready"]
        server.index.lost = True  # type: ignore[attr-defined]
        assert eventually(lambda: ready(server)["reasons"] == ["GENERATION_NOT_FOUND"])
