"""Traces through real collectors: rotel from its wheel, and a Jaeger, which is made of the OpenTelemetry collector."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from benchmarks.ports import free_port
from console.clients.traces import Trace, TracesClient
from console.presenters.traces import waterfall
from console.settings import ConsoleSettings
from rag_tracing import Destination, start_tracing, stop_tracing
from tests.support.kept_traces import kept_traces
from tests.support.packages import fetched
from tests.support.postgres import die_with_parent
from tests.support.query_server import Doc, running
from tests.support.traces import parent_of
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy

pytestmark = pytest.mark.real_servers
TRACE = "0af7651916cd43dd8448eb211c80319c"
SEARCH = "ragproto.query.v2.QueryService/Search"
JAEGER = "RAG_TEST_JAEGER"


@contextmanager
def started(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """A collector that takes exports at `ready`."""
    with (folder / "collector.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, preexec_fn=die_with_parent)
        try:
            assert eventually(lambda: process.poll() is None and _takes_exports(ready), seconds=60)
            yield
        finally:
            process.kill()
            process.wait()


def _takes_exports(url: str) -> bool:
    try:
        empty = httpx.post(
            f"{url}/v1/traces", headers={"content-type": "application/x-protobuf"}, trust_env=False, timeout=60
        )
    except httpx.TransportError:
        return False
    return empty.status_code == 200


@contextmanager
def rotel(folder: Path, forward: str) -> Iterator[str]:
    """The address of a rotel that hands everything to another endpoint."""
    program = fetched("rotel", Path(__file__).parents[2] / "support" / "rotel.txt") / "rotel" / "rotel-agent"
    program.chmod(0o755)
    http, grpc = free_port(), free_port()
    command = [str(program), "start", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--exporter", "otlp"]
    command += ["--otlp-exporter-endpoint", forward, "--otlp-exporter-protocol", "http"]
    with started(command, folder, f"http://127.0.0.1:{http}"):
        yield f"http://127.0.0.1:{http}"


@contextmanager
def jaeger(folder: Path) -> Iterator[tuple[str, str]]:
    """Where a Jaeger takes traces, and where it answers. Skips the test without its program."""
    program = os.environ.get(JAEGER)
    if not program:
        how = "go get -tool github.com/jaegertracing/jaeger/cmd/jaeger@v1.76.0 && go build …/cmd/jaeger"
        pytest.skip(f"no Jaeger: set {JAEGER} to its program ({how})")
    query, grpc, otlp = free_port(), free_port(), free_port()
    extensions = {
        "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100}}}},
        "jaeger_query": {
            "storage": {"traces": "memory"},
            "http": {"endpoint": f"127.0.0.1:{query}"},
            "grpc": {"endpoint": f"127.0.0.1:{grpc}"},
        },
    }
    config = {
        "extensions": extensions,
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "service": {
            "extensions": list(extensions),
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    (folder / "jaeger.yaml").write_text(yaml.safe_dump(config))
    with started([program, "--config", str(folder / "jaeger.yaml")], folder, f"http://127.0.0.1:{otlp}"):
        yield f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{query}"


def trace_of_a_search(folder: Path, endpoint: str, query_url: str, monkeypatch: pytest.MonkeyPatch) -> Trace:
    """A search at a query server behind a gateway that both export, as the console reads it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    with running(folder / "server", docs=[Doc("The bell rings at nine.")]) as server:
        traces = Destination(f"{endpoint}/v1/traces")
        options = replace(gateway_options(server.ports.query), max_seconds=31, traces=traces)
        with running_envoy(options, folder) as address, closing(_console(query_url)) as client:
            assert start_tracing("query-server")
            headers = {**dict(server.auth()), "traceparent": parent_of(TRACE)}
            url = f"http://{address}/api/v2/search"
            assert (
                httpx.post(url, json={"query": "bell"}, headers=headers, trust_env=False, timeout=60).status_code == 200
            )
            assert eventually(lambda: _services(client) == {"rag-gateway", "rag-query-server"}, seconds=60)
            found = client.trace(TRACE)
            stop_tracing()
    assert found is not None
    return found


def _console(url: str) -> TracesClient:
    return TracesClient(ConsoleSettings(traces_url=url, call_seconds=30))


def _services(client: TracesClient) -> set[str]:
    found = client.trace(TRACE)
    return {span.service for span in found.spans} if found else set()


def drawn(trace: Trace) -> list[tuple[int, str]]:
    return [(row["depth"], row["name"]) for row in waterfall(trace)]


WHOLE = [(0, SEARCH), (1, SEARCH), (2, "embeddings"), (2, "search"), (3, "dense leg"), (3, "lexical leg")]


@pytest.fixture(autouse=True)
def _no_traces_afterwards() -> Iterator[None]:
    yield
    stop_tracing()


def test_rotel_hands_on_a_whole_trace_to_the_local_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept_traces(tmp_path / "kept") as store, rotel(tmp_path, store) as endpoint:
        found = trace_of_a_search(tmp_path, endpoint, store, monkeypatch)
    assert drawn(found) == WHOLE


def test_jaeger_takes_a_whole_trace_and_the_console_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with jaeger(tmp_path) as (endpoint, query):
        found = trace_of_a_search(tmp_path, endpoint, query, monkeypatch)
        with closing(_console(query)) as client:
            assert {"rag-gateway", "rag-query-server"} <= set(client.services())
            assert [one.trace_id for one in client.search("rag-gateway", limit=5)] == [TRACE]
            assert client.search("rag-gateway", limit=5, least_ms=60_000) == []
            assert client.trace("1" * 32) is None
    assert drawn(found) == WHOLE
