"""The store of `rag up --traces`: what it keeps, what it refuses, and how it is read."""

from __future__ import annotations

import gzip
import json
import stat
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from console.clients.traces import MAX_SPANS, TracesClient
from console.settings import ConsoleSettings
from rag_tracing import entry, span, start_tracing, stop_tracing
from ragctl.app import run
from ragctl.commands import trace
from ragctl.local_stack.traces import otlp, server, store
from ragctl.local_stack.traces.otlp import SpanRow
from ragctl.local_stack.traces.server import MAX_BODY_BYTES, build_app
from ragctl.local_stack.traces.store import TraceStore
from tests.support.kept_traces import kept_traces
from tests.support.traces import parent_of, recorded

TRACE = "0af7651916cd43dd8448eb211c80319c"
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[TraceStore]:
    made = TraceStore(tmp_path / "traces" / "traces.db", keep=3)
    yield made
    made.close()


@pytest.fixture
def client(kept: TraceStore) -> TestClient:
    return TestClient(build_app(kept), base_url="http://127.0.0.1")


def export(*trace_ids: str, **attributes: Any) -> bytes:
    """An export as the SDK makes it: in each trace a search that failed and its part."""
    with recorded() as traces:
        for trace_id in trace_ids:
            with entry("Search", {"traceparent": parent_of(trace_id)}) as search:
                search.end_as("LookupError", failed=True)
                with span("dense leg", {"rows": 3, "warm": True, "score": 0.5, **attributes}):
                    pass
        return encode_spans(traces.exporter.get_finished_spans()).SerializeToString()


def send(client: TestClient, body: bytes, **headers: str) -> int:
    return client.post("/v1/traces", content=body, headers=PROTOBUF | headers).status_code


def tags(found: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in found["tags"]}


@pytest.mark.parametrize(
    ("encoding", "compress"), [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_an_export_is_read_back_as_jaeger_has_it(client: TestClient, encoding: str, compress: Any) -> None:
    assert send(client, compress(export(TRACE)), **{"content-encoding": encoding}) == 200
    (trace,) = client.get(f"/api/traces/{TRACE}").json()["data"]
    search, leg = trace["spans"]
    assert (search["operationName"], leg["operationName"]) == ("Search", "dense leg")
    assert leg["references"] == [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": search["spanID"]}]
    assert trace["processes"][leg["processID"]]["serviceName"] == "rag-test"
    assert tags(leg) == {"span.kind": "internal", "rows": 3, "warm": True, "score": 0.5}
    assert tags(search)["error"] is True
    assert tags(search)["span.kind"] == "server"


def test_a_span_that_comes_twice_is_kept_once(client: TestClient) -> None:
    body = export(TRACE)
    assert {send(client, body) for _ in range(2)} == {200}
    assert len(client.get(f"/api/traces/{TRACE}").json()["data"][0]["spans"]) == 2


def test_only_the_newest_traces_are_kept(client: TestClient) -> None:
    for number in range(1, 6):
        send(client, export(f"{number:032x}"))
    found = client.get("/api/traces?service=rag-test").json()["data"]
    assert [int(trace["traceID"], 16) for trace in found] == [5, 4, 3]
    assert client.get(f"/api/traces/{1:032x}").status_code == 404


def test_a_trace_keeps_its_first_spans_only(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_SPANS", 3)
    for _ in range(3):
        send(client, export(TRACE))
    assert len(client.get(f"/api/traces/{TRACE}").json()["data"][0]["spans"]) == 3


def test_names_and_values_are_cut(client: TestClient) -> None:
    send(client, export(TRACE, long="x" * 5000))
    (trace,) = client.get(f"/api/traces/{TRACE}").json()["data"]
    assert len(tags(trace["spans"][1])["long"]) == otlp.MAX_CHARS


def test_traces_are_found_by_service_span_and_time(client: TestClient) -> None:
    send(client, export(TRACE))
    assert client.get("/api/services").json()["data"] == ["rag-test"]
    assert client.get("/api/services/rag-test/operations").json()["data"] == ["Search", "dense leg"]
    for query, matches in (
        ("service=rag-test&operation=dense%20leg", 1),
        ("service=other", 0),
        ("service=rag-test&minDuration=1h", None),
        ("minDuration=1000s", 0),
        ("minDuration=0ms&limit=1", 1),
        ("end=1", 0),
        ("limit=0", None),
        ("limit=100000", None),
        ("end=tomorrow", None),
    ):
        response = client.get(f"/api/traces?{query}")
        assert (response.status_code == 400) if matches is None else len(response.json()["data"]) == matches, query


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", {}, 400),
        (b"not gzip", {"content-encoding": "gzip"}, 400),
        (b"", {"content-encoding": "br"}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", {"content-type": "text/plain"}, 415),
        (b"x" * (MAX_BODY_BYTES + 1), {}, 413),
        (gzip.compress(bytes(MAX_BODY_BYTES + 1)), {"content-encoding": "gzip"}, 413),
        (b"", {"host": "attacker.example"}, 400),
    ],
)
def test_what_is_no_export_is_refused(client: TestClient, body: bytes, headers: dict[str, str], status: int) -> None:
    assert send(client, body, **headers) == status


def test_a_span_without_ids_is_left_out(client: TestClient, kept: TraceStore) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="lost", trace_id=b"short")
    assert send(client, request.SerializeToString()) == 200
    assert kept.services() == []


def test_the_file_is_private_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    path.write_bytes(b"no database" * 1000)
    made = TraceStore(path, keep=3)
    assert made.services() == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made.close()


def test_a_page_of_the_web_cannot_read_it(client: TestClient) -> None:
    response = client.get("/api/services", headers={"origin": "https://attacker.example"})
    assert "access-control-allow-origin" not in response.headers
    assert server.MAX_LIMIT <= 200


def test_the_console_reads_what_a_process_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept_traces(tmp_path) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        assert start_tracing("query-server")
        with entry("Search", {"traceparent": parent_of(TRACE)}), span("dense leg", {"rows": 3}):
            pass
        stop_tracing()
        with closing(TracesClient(ConsoleSettings(traces_url=url))) as client:
            assert client.services() == ["rag-query-server"]
            (found,) = client.search("rag-query-server", limit=5, least_ms=0)
            assert client.trace(TRACE) == found
            assert client.search("rag-query-server", limit=5, least_ms=3_600_000) == []
            assert client.trace("0" * 32) is None
    search, leg = found.spans
    assert (search.name, leg.name, leg.parent) == ("Search", "dense leg", search.span_id)
    assert leg.attributes["rows"] == "3"


def test_the_command_lists_and_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trace, "_QUIET_SECONDS", 0)  # the first span has a caller whose span never comes
    with kept_traces(tmp_path) as url:
        httpx.post(
            f"{url}/v1/traces", content=export(TRACE), headers=PROTOBUF, trust_env=False, timeout=60
        ).raise_for_status()
        assert run(["trace", "list", "--service", "rag-test", "--url", url]) == 0
        assert TRACE in capsys.readouterr().out
        assert run(["trace", "show", TRACE, "--url", url, "--wait", "dense leg"]) == 0
        search, leg = capsys.readouterr().out.splitlines()
        assert search.startswith("Search ")
        assert search.endswith("failed")
        assert leg.startswith("  dense leg ")
        assert run(["trace", "show", TRACE, "--url", url, "--output", "json"]) == 0
        spans = json.loads(capsys.readouterr().out)["data"]["spans"]
        assert [(one["name"], one["depth"]) for one in spans] == [("Search", 0), ("dense leg", 1)]
        assert run(["trace", "show", TRACE, "--url", url, "--wait", "rerank", "--seconds", "0"]) == 5
        assert run(["trace", "show", "0" * 32, "--url", url]) == 5
        assert "TRACE_NOT_FOUND" in capsys.readouterr().err
    assert run(["trace", "list", "--url", url]) == 6
    assert "TRACES_UNAVAILABLE" in capsys.readouterr().err


def row(span_id: str, parent_id: str, service: str, name: str, started: int = 0) -> SpanRow:
    return SpanRow(TRACE, span_id, parent_id, service, name, "server", started, 1000, failed=False, attributes="{}")


class LateGateway(TraceStore):
    """A store that the gateway's span reaches once the trace has been read without it."""

    def trace(self, trace_id: str) -> list[SpanRow]:
        found = super().trace(trace_id)
        self.add([row("b" * 16, "a" * 16, "rag-gateway", "Search")])  # `a…` is the caller's span
        return found


def test_the_command_waits_for_the_gateways_span(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(TraceStore(tmp_path / "traces.db", keep=3)) as store:
        store.add(
            [
                row("c" * 16, "b" * 16, "rag-query-server", "Search", 1),
                row("d" * 16, "c" * 16, "rag-index", "dense leg", 2),
            ]
        )
    with kept_traces(tmp_path, LateGateway) as url:
        assert run(["trace", "show", TRACE, "--url", url, "--wait", "dense leg"]) == 0
    shown = [line.split()[-4] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["rag-gateway", "rag-query-server", "rag-index"]


def test_the_command_waits_for_a_span_however_many_came_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_span = row("c" * 16, "", "rag-dagster", "run ingest")
    parts = [
        row(f"{number:016x}", run_span.span_id, "rag-dagster", "embed", number) for number in range(1, MAX_SPANS + 2)
    ]
    last = row("d" * 16, run_span.span_id, "rag-dagster", "index", MAX_SPANS + 9)
    with closing(TraceStore(tmp_path / "traces.db", keep=3)) as store:
        store.add([run_span, *parts, last])
    with kept_traces(tmp_path) as url:
        assert run(["trace", "show", TRACE, "--url", url, "--wait", "index", "--seconds", "0"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == MAX_SPANS + 3


class CountingReads(TraceStore):
    """A store that counts how often a trace is read."""

    reads = 0

    def trace(self, trace_id: str) -> list[SpanRow]:
        CountingReads.reads += 1
        return super().trace(trace_id)


@pytest.mark.parametrize(("parent", "quiet"), [("", float("inf")), ("a" * 16, 0)])
def test_the_command_waits_for_no_span_that_cannot_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent: str, quiet: float
) -> None:
    """Nothing is above a run of Dagster, and the caller's span is never seen: after a quiet time it is not awaited."""
    monkeypatch.setattr(trace, "_QUIET_SECONDS", quiet)
    monkeypatch.setattr(trace, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(CountingReads, "reads", 0)
    with closing(TraceStore(tmp_path / "traces.db", keep=3)) as store:
        store.add([row("c" * 16, parent, "rag-dagster", "run ingest")])
    with kept_traces(tmp_path, CountingReads) as url:
        assert run(["trace", "show", TRACE, "--url", url, "--wait", "run ingest", "--seconds", "2"]) == 0
    assert CountingReads.reads == 1
