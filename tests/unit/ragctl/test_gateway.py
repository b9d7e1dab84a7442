"""The generated Envoy configuration, in a real Envoy. The gateway's spans: Envoy begins or continues the trace of a
request, and hands it to the query server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
import yaml

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from rag_tracing import Destination
from ragctl.gateway.bootstrap import bootstrap, render, validate, write
from ragctl.gateway.options import Endpoint, GatewayOptions, telemetry_environment
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from tests.support.otlp import Collector, attributes_of, collector
from tests.support.query_server import Doc, running
from tests.support.traces import Recorded, parent_of, recorded, recorded_traces  # noqa: F401
from tests.support.waiting import eventually
from tests.support.wire import MAX_REQUEST_BYTES, MAX_SECONDS, Gateway, gateway_options, running_envoy, running_gateway

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
    gateway.peer.answers("one ", answered=v2.AnswerFinal.Answered())
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


TRACE = "0af7651916cd43dd8448eb211c80319c"
SEARCH = "ragproto.query.v2.QueryService/Search"


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], Collector]]:
    """A query server behind a gateway that exports; its address, headers of a caller, and what was exported."""
    folder = tmp_path_factory.mktemp("traced")
    with collector() as found, running(folder / "server", docs=[Doc("The bell rings at nine.")]) as server:
        traces = Destination(f"{found.url}/v1/traces", (("x-key", "secret"),))
        options = replace(gateway_options(server.ports.query), max_seconds=31, traces=traces)
        with running_envoy(options, folder) as address:
            yield address, dict(server.auth()), found


def test_a_request_over_rest_is_one_trace_from_the_caller_through_envoy_to_each_leg(
    traced: tuple[str, dict[str, str], Collector], traces: Recorded
) -> None:
    address, headers, found = traced
    response = httpx.post(
        f"http://{address}/api/v2/search",
        json={"query": "when does the zeppelin ring"},
        headers={**headers, "traceparent": parent_of(TRACE)},
        trust_env=False,
        timeout=60,
    )
    assert response.status_code == 200, response.text
    gateway = found.named(TRACE, SEARCH)
    assert gateway.parent_span_id.hex() == "00000000000000aa"
    call = traces.named(TRACE, SEARCH)
    assert call.parent is not None
    assert f"{call.parent.span_id:016x}" == gateway.span_id.hex()
    traces.assert_ancestors(traces.named(TRACE, "dense leg"), "search", SEARCH)
    assert {service for service, _ in found.of_trace(TRACE)} == {"rag-gateway"}
    assert found.headers["x-key"] == "secret"
    said = attributes_of(gateway)
    assert said["http.method"] == "POST"
    assert said["http.url"].endswith("/")
    assert said["guid:x-request-id"] == (call.attributes or {})["rag.request_id"]
    assert "zeppelin" not in json.dumps(said)


def test_a_path_that_names_a_document_is_not_recorded(
    traced: tuple[str, dict[str, str], Collector], traces: Recorded
) -> None:
    address, headers, found = traced
    asked = {**headers, "traceparent": parent_of("a" * 32)}
    httpx.get(f"http://{address}/api/v1/documents/zeppelin?page=zeppelin", headers=asked, trust_env=False, timeout=60)
    httpx.get(f"http://{address}/nowhere/zeppelin?q=zeppelin", headers=asked, trust_env=False, timeout=60)
    assert eventually(lambda: len(found.of_trace("a" * 32)) == 2)
    assert not [span for _, span in found.of_trace("a" * 32) if "zeppelin" in f"{span.name} {attributes_of(span)}"]


def test_a_caller_that_does_not_sample_leaves_no_span(
    traced: tuple[str, dict[str, str], Collector], traces: Recorded
) -> None:
    address, headers, found = traced
    for trace, sampled in (("b" * 32, False), ("c" * 32, True)):
        asked = {**headers, "traceparent": parent_of(trace, sampled=sampled)}
        httpx.post(
            f"http://{address}/api/v2/search", json={"query": "bell"}, headers=asked, trust_env=False, timeout=60
        )
    found.named("c" * 32, SEARCH)
    assert found.of_trace("b" * 32) == []
    assert traces.spans("b" * 32) == []


def test_the_gateway_begins_traces_for_its_share_of_calls_and_continues_those_of_callers(tmp_path: Path) -> None:
    with collector() as found, running(tmp_path / "server", docs=[Doc("The bell rings at nine.")]) as server:
        none = Destination(f"{found.url}/v1/traces", (), share=0.0)
        options = replace(gateway_options(server.ports.query), max_seconds=31, traces=none)
        with running_envoy(options, tmp_path) as address:
            for _ in range(20):
                httpx.get(f"http://{address}/nowhere", trust_env=False, timeout=60)
            httpx.get(
                f"http://{address}/nowhere", headers={"traceparent": parent_of("d" * 32)}, trust_env=False, timeout=60
            )
            assert eventually(lambda: found.of_trace("d" * 32))
    assert {span.trace_id.hex() for _, span in found.spans} == {"d" * 32}


def test_without_a_destination_there_is_no_tracer() -> None:
    assert "opentelemetry" not in json.dumps(bootstrap(gateway_options(1)))


def test_envoy_accepts_a_collector_with_tls(tmp_path: Path) -> None:
    found = Destination("https://collector.example.org/v1/traces", (("authorization", "Bearer x"),), 0.01)
    options = replace(gateway_options(1), traces=found)
    validate(options)
    text = json.dumps(bootstrap(options))
    assert '"sni": "collector.example.org"' in text
    assert '"port_value": 443' in text
    assert '{"numerator": 10000, "denominator": "MILLION"}' in text


def test_a_later_command_finds_where_the_stack_sends_its_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    assert telemetry_environment(settings) == {}
    (tmp_path / "stack.env").write_text("OTEL_EXPORTER_OTLP_ENDPOINT='http://kept:4318'\nRAG_HOST='x'\n")
    assert telemetry_environment(settings) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://kept:4318"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://given:4318")
    assert telemetry_environment(settings)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://given:4318"
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    (tmp_path / "stack.env").unlink()
    own = Settings(home=tmp_path, traces=True, traces_port=4999)
    assert telemetry_environment(own) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4999"}
