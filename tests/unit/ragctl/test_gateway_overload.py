"""More searches than the query servers can hold: the gateway refuses them, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from console.clients.metrics import MetricsClient
from console.presenters import traffic
from console.settings import ConsoleSettings
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.options import GatewayOptions
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import failing
from tests.support.wire import Gateway, running_gateway

SEARCH = "/api/v2/search"
RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "rag.rules.yaml"


@pytest.mark.catalogue("F33")
def test_searches_beyond_what_the_servers_hold_are_refused_with_pushback_and_others_pass(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, searches=2) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        stub = v2_grpc.QueryServiceStub(channel)
        request = v2.SearchRequest(query="wing")
        with gateway.peer.holding_searches():
            held = [stub.Search.future(request, timeout=20) for _ in range(2)]
            for _ in held:
                assert gateway.peer.arrived.acquire(timeout=10)

            refused = failing(lambda: stub.Search(request, timeout=20))
            assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert refused.trailers["grpc-retry-pushback-ms"] == "250"

            response = gateway.http.post(SEARCH, json={"query": "wing"})
            assert response.status_code == 429
            assert response.json()["code"] == 8
            assert response.json()["details"][0]["reason"] == "OVERLOADED"
            assert response.headers["retry-after"] == "1"

            assert gateway.http.post("/api/v1/query", json={"query": "wing"}).status_code == 200
            _are_seen_by_operators(gateway, 2)
        assert [len(call.result().generation) for call in held] == [1, 1]
        assert stub.Search(request, timeout=20).generation == "g"


def test_the_limit_follows_the_number_of_servers_without_a_failed_call(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, searches=1) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):

        def calls_until(status: int) -> None:
            seen = 0
            while seen != status:
                assert gateway.http.post("/api/v1/query", json={"query": "wing"}).status_code == 200
                seen = gateway.http.post(SEARCH, json={"query": "wing"}).status_code

        with gateway.peer.holding_searches():
            held = v2_grpc.QueryServiceStub(channel).Search.future(v2.SearchRequest(query="wing"), timeout=20)
            assert gateway.peer.arrived.acquire(timeout=10)
            calls_until(429)
            gateway.peer.hold_no_more()
            changed = write_dynamic(replace(gateway.options, searches=2), tmp_path / "gateway")
            assert changed == ["cds.yaml"]
            calls_until(200)
        assert held.result().generation == "g"


def test_the_gateway_lets_in_what_the_servers_of_the_local_stack_hold(settings_with_keys: Settings) -> None:
    def searches(**update: object) -> int:
        return GatewayOptions.from_settings(settings_with_keys.model_copy(update=update)).searches

    one = settings_with_keys.search_slots + settings_with_keys.max_queued_searches
    assert searches() == one
    assert searches(replicas=3) == 3 * one
    assert searches(replicas=3, gateway_searches=10) == 10
    assert searches(gateway_blue="query.svc:50051") == 0, "how many servers are behind a name is not known"


def _are_seen_by_operators(gateway: Gateway, refused: int) -> None:
    """By the name that Envoy gives to what it counts: the console shows it, the alert is about it."""
    client = MetricsClient(ConsoleSettings(envoy_admin_url=f"http://127.0.0.1:{gateway.options.admin_port}"))
    found = client.gateway()
    client.close()
    assert found is not None
    assert {"limit": traffic.IN_FLIGHT, "passed": None, "refused": refused} in traffic.limit_rows(found)
    assert traffic.OVERFLOW in RULES.read_text("utf-8")
