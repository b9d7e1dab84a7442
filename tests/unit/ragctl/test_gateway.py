"""The generated Envoy configuration, in a real Envoy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import grpc
import httpx
import pytest
import yaml

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import bootstrap, render, validate, write
from ragctl.gateway.options import Endpoint, GatewayOptions
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from tests.support.wire import MAX_REQUEST_BYTES, MAX_SECONDS, Gateway, running_gateway

QUERY = "/api/v1/query"


def test_envoy_accepts_the_configuration_of_the_default_settings(settings_with_keys: Settings) -> None:
    validate(GatewayOptions.from_settings(settings_with_keys))


def test_a_configuration_envoy_refuses_is_reported_with_its_reason(options: GatewayOptions) -> None:
    with pytest.raises(ConfigError, match="Envoy refuses") as caught:
        validate(dataclasses.replace(options, listen=Endpoint("no address", 1)))
    assert caught.value.reason is Reason.CONFIG_INVALID


def test_equal_options_give_an_equal_file_and_plain_yaml(options: GatewayOptions, tmp_path: Path) -> None:
    write(options, tmp_path / "envoy.yaml")
    text = (tmp_path / "envoy.yaml").read_text("utf-8")
    assert text == render(options)
    assert yaml.load(text, yaml.CSafeLoader) == json.loads(json.dumps(bootstrap(options)))
    assert list(tmp_path.iterdir()) == [tmp_path / "envoy.yaml"]


@pytest.mark.catalogue("S31")
def test_the_admin_interface_is_on_loopback_whatever_the_listener(settings_with_keys: Settings) -> None:
    settings = settings_with_keys.model_copy(update={"host": "0.0.0.0"})  # noqa: S104
    rendered = yaml.load(render(GatewayOptions.from_settings(settings)), yaml.CSafeLoader)
    assert rendered["admin"]["address"]["pipe"]["mode"] == 0o600
    [served] = [item for item in rendered["static_resources"]["listeners"] if item["name"] == "operations"]
    assert served["address"]["socket_address"]["address"] == "127.0.0.1"
    listener = rendered["static_resources"]["listeners"][0]["address"]["socket_address"]
    assert listener["address"] == "0.0.0.0"  # noqa: S104
    endpoint = rendered["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    assert endpoint["endpoint"]["address"]["socket_address"]["address"] == "127.0.0.1"


def test_rest_is_transcoded_with_proto_field_names(gateway: Gateway) -> None:
    gateway.peer.query = lambda request: v1.QueryResponse(
        answer=f"{request.query}/{request.top_k}", sources=[v1.Source(doc_id="d", version=2**40)]
    )
    response = gateway.http.post(QUERY, json={"query": "你好", "top_k": 3})
    assert response.status_code == 200
    body = response.json()
    assert body["answer"] == "你好/3"
    assert body["sources"][0]["doc_id"] == "d"
    assert body["sources"][0]["version"] == str(2**40)
    assert body["abstained"] is False


def test_answers_stream_as_server_sent_events(gateway: Gateway) -> None:
    gateway.peer.answer = [
        v2.AnswerEvent(delta=v2.AnswerDelta(text="one ")),
        v2.AnswerEvent(final=v2.AnswerFinal(answered=v2.AnswerFinal.Answered())),
    ]
    with gateway.http.stream("POST", "/api/v2/answer", json={"query": "x"}) as response:
        assert response.headers["content-type"] == "text/event-stream"
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert [list(event) for event in events] == [["delta"], ["final"]]
    assert events[0]["delta"]["text"] == "one "


def test_a_grpc_error_becomes_the_http_status_and_a_status_body(gateway: Gateway) -> None:
    gateway.peer.failure = grpc.StatusCode.INVALID_ARGUMENT
    response = gateway.http.post(QUERY, json={"query": "x"})
    assert response.status_code == 400
    assert response.json()["code"] == 3


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", QUERY, 405, "METHOD_UNKNOWN"),
        ("POST", "/api/v1/nothing", 404, "METHOD_UNKNOWN"),
        ("POST", "/ragproto.query.v1.QueryService/Query", 404, "METHOD_UNKNOWN"),
        ("POST", "/ragproto.admin.v1.IndexService/Apply", 404, "METHOD_UNKNOWN"),
        ("GET", "/metrics", 404, "METHOD_UNKNOWN"),
    ],
)
def test_only_listed_paths_reach_the_server(gateway: Gateway, method: str, path: str, status: int, reason: str) -> None:
    gateway.peer.metadata = {}
    response = gateway.http.request(method, path, json={"query": "x"})
    assert response.status_code == status
    assert response.json()["details"][0]["reason"] == reason
    assert gateway.peer.metadata == {}


def test_the_admin_api_is_not_reachable_by_grpc(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as caught:
        admin_pb2_grpc.AdminServiceStub(channel).GetStatus(admin_pb2.GetStatusRequest(), timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_malformed_json_is_the_callers_fault(gateway: Gateway) -> None:
    response = gateway.http.post(QUERY, content=b'{"query": ')
    assert response.status_code == 400
    assert response.json()["details"][0]["reason"] == "FIELD_INVALID"


def test_headers_of_the_platform_are_stripped_from_clients(gateway: Gateway) -> None:
    forged = {
        "x-auth-tenant": "other",
        "X-Rag-Index-Secret": "guess",
        "x-envoy-retry-on": "5xx",
        "x-envoy-upstream-rq-timeout-ms": "1",
    }
    response = gateway.http.post(QUERY, json={"query": "x"}, headers={**forged, "authorization": "Bearer t"})
    assert response.status_code == 200
    assert gateway.peer.metadata["authorization"] == "Bearer t"
    assert not {name.lower() for name in forged} & gateway.peer.metadata.keys()


def test_a_body_beyond_the_limit_is_refused_on_both_wires(gateway: Gateway) -> None:
    text = "a" * (MAX_REQUEST_BYTES + 1)
    response = gateway.http.post(QUERY, json={"query": text})
    assert (response.status_code, response.json()["details"][0]["reason"]) == (413, "REQUEST_TOO_LARGE")
    with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as caught:
        v1_grpc.QueryServiceStub(channel).Query(v1.QueryRequest(query=text), timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_clients_deadline_travels_and_is_capped(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        stub = v1_grpc.QueryServiceStub(channel)
        stub.Query(v1.QueryRequest(query="x"), timeout=10)
        assert gateway.peer.time_remaining is not None
        # A little more than 10: the wire form of a deadline has few digits and is rounded up. The cap would be 20.
        assert gateway.peer.time_remaining < 11
        stub.Query(v1.QueryRequest(query="x"), timeout=3600)
        assert gateway.peer.time_remaining <= MAX_SECONDS


def test_a_call_beyond_the_cap_ends_with_a_deadline_on_both_wires(tmp_path: Path) -> None:
    with running_gateway(tmp_path, max_seconds=1) as gateway:
        gateway.peer.delay_seconds = 30
        response = gateway.http.post(QUERY, json={"query": "x"})
        with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as caught:
            v1_grpc.QueryServiceStub(channel).Query(v1.QueryRequest(query="x"), timeout=20)
    # Either Envoy or the server behind it looks at the clock first; both say the same.
    assert (response.status_code, response.json()["code"]) == (504, 4)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_probes_reach_the_servers_http_endpoints(gateway: Gateway) -> None:
    gateway.probes.expect_request("/ready").respond_with_json({"ready": False, "reasons": ["INDEX_EMPTY"]}, status=503)
    gateway.probes.expect_request("/health").respond_with_json({"status": "alive"})
    assert gateway.http.get("/health").json() == {"status": "alive"}
    response = gateway.http.get("/ready")
    assert (response.status_code, response.json()["reasons"]) == (503, ["INDEX_EMPTY"])


def test_a_dead_server_is_unavailable_and_comes_back_without_help(gateway: Gateway) -> None:
    gateway.peer.stop()
    response = gateway.http.post(QUERY, json={"query": "x"})
    assert (response.status_code, response.json()["details"][0]["reason"]) == (503, "SERVER_UNAVAILABLE")
    assert response.json()["message"] == "the query server cannot be reached; try again"
    gateway.peer.start()
    transport = httpx.HTTPTransport()
    with httpx.Client(base_url=gateway.http.base_url, transport=transport, trust_env=False, timeout=60) as client:
        statuses = iter(lambda: client.post(QUERY, json={"query": "x"}).status_code, 200)
        assert set(statuses) <= {503}


def test_the_access_log_is_json_and_holds_no_query_text(gateway: Gateway) -> None:
    gateway.http.post(f"{QUERY}?secret=sesame", json={"query": "open sesame"})
    gateway.http.post(QUERY, json={"query": "open sesame"})
    text = ""
    while f'"path":"{QUERY}"' not in text:  # Envoy writes the log some milliseconds later
        text = gateway.log.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {"time", "method", "path", "status", "milliseconds", "request_id"} <= lines[-1].keys()
    assert "sesame" not in text
