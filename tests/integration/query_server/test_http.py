"""GET /metrics, /health and /ready."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import Doc, RunningServer, failing, fill, running
from tests.support.waiting import eventually


def get(server: RunningServer, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.ports.metrics}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own address
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_server_with_an_index_is_ready(server: RunningServer) -> None:
    status, body = get(server, "/ready")
    assert status == 200
    assert json.loads(body) == {"ready": True, "reasons": [], "degraded": [], "generation": "g1"}
    assert get(server, "/health")[0] == 200


def test_metrics_count_calls_by_method_code_and_reason(server: RunningServer) -> None:
    failing(lambda: v2_grpc.QueryServiceStub(server.channel).Search(v2.SearchRequest(), metadata=server.auth()))
    # The call is counted when it has ended at the server, which may be after its answer is here.
    assert eventually(lambda: 'reason="QUERY_EMPTY"' in get(server, "/metrics")[1])
    body = get(server, "/metrics")[1]
    assert "rag_server_request_seconds_bucket" in body
    assert "rag_server_ready 1.0" in body
    assert "acme" not in body


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)])
def test_other_requests_are_refused(server: RunningServer, path: str, method: str, status: int) -> None:
    assert get(server, path, method)[0] == status


def test_a_server_without_a_generation_starts_and_says_why_it_cannot_answer(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert (get(server, "/ready")[0], get(server, "/health")[0]) == (503, 200)
        assert json.loads(get(server, "/ready")[1])["reasons"] == ["INDEX_EMPTY"]
        stub = v2_grpc.QueryServiceStub(server.channel)
        failure = failing(lambda: stub.Search(v2.SearchRequest(query="bell"), metadata=server.auth()))
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "INDEX_EMPTY")
        health = health_pb2_grpc.HealthStub(server.channel)
        query = health_pb2.HealthCheckRequest(service="ragproto.query.v2.QueryService")
        assert health.Check(query).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING

        fill(server.index, [Doc("The bell rings at nine.")], server.embedder)
        updates = health.Watch(query, timeout=20)
        assert any(update.status == health_pb2.HealthCheckResponse.SERVING for update in updates)
        assert get(server, "/ready")[0] == 200
        assert stub.Search(v2.SearchRequest(query="bell"), metadata=server.auth()).passages
