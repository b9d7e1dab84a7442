"""Traces in the viewer of `rag up --traces`, a real Arize Phoenix, and through a real collector, rotel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.ports import free_port
from rag_core.settings import Settings
from rag_tracing import Destination, start_tracing, stop_tracing
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.services import build_services
from ragctl.local_stack.trace_viewer.install import environment_of, install, is_installed
from tests.support.browser_page import visit
from tests.support.otlp import collector
from tests.support.packages import fetched
from tests.support.postgres import die_with_parent
from tests.support.query_server import Doc, running
from tests.support.traces import parent_of
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(1500)]
TRACE = "0af7651916cd43dd8448eb211c80319c"
SEARCH = "ragproto.query.v2.QueryService/Search"
KINDS = {
    (SEARCH, "unknown"),  # the gateway's, which knows no convention of models
    (SEARCH, "chain"),
    ("embeddings", "embedding"),
    ("search", "retriever"),
    ("dense leg", "unknown"),
    ("lexical leg", "unknown"),
}
_SPANS = """query ($trace: String!) { getTraceByOtelId(traceId: $trace) {
    spans(first: 100) { edges { node { name spanKind attributes } } } } }"""


@contextmanager
def started(command: list[str], folder: Path, ready: str, **environment: str) -> Iterator[psutil.Process]:
    """A program that takes exports at `ready`."""
    with (folder / "program.log").open("w") as log:
        known = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, preexec_fn=die_with_parent, env=known | environment
        )
        try:
            assert eventually(lambda: process.poll() is None and _takes_exports(ready), seconds=800)
            yield psutil.Process(process.pid)
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
def phoenix(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The viewer as a stack starts it, from an environment that later runs of the tests find again."""
    cache = DataDir(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rag-platform" / "viewer")
    cache.logs.mkdir(parents=True, exist_ok=True)
    if not is_installed(cache):
        install(cache)
    home = DataDir(folder)
    home.traces.mkdir()
    environment_of(home).symlink_to(environment_of(cache))
    settings = Settings(home=folder, traces=True, traces_port=free_port())
    service = next(one for one in build_services(settings, home) if one.name == "traces")
    assert service.url is not None
    with started([*service.command], folder, service.url, **dict(service.env)) as process:
        yield service.url, process


def search_traced(
    folder: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], wanted: object
) -> None:
    """A search at a query server behind a gateway that both export, until what is read of it is what is wanted."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    with running(folder / "server", docs=[Doc("The bell rings at nine.")]) as server:
        options = replace(
            gateway_options(server.ports.query), max_seconds=31, traces=Destination(f"{endpoint}/v1/traces")
        )
        with running_envoy(options, folder) as address:
            assert start_tracing("query-server")
            headers = {**dict(server.auth()), "traceparent": parent_of(TRACE)}
            url = f"http://{address}/api/v2/search"
            found = httpx.post(url, json={"query": "bell"}, headers=headers, trust_env=False, timeout=60)
            assert found.status_code == 200, found.text
            stop_tracing()  # hands over what it holds; the gateway does so every few seconds
            assert eventually(lambda: read() == wanted, seconds=120), read()


def spans_in(url: str) -> list[dict[str, Any]]:
    """The spans of the trace as the viewer's pages read them."""
    body = {"query": _SPANS, "variables": {"trace": TRACE}}
    found = httpx.post(f"{url}/graphql", json=body, trust_env=False, timeout=60).json()["data"]["getTraceByOtelId"]
    return [edge["node"] for edge in found["spans"]["edges"]] if found else []


@pytest.fixture(autouse=True)
def _no_traces_afterwards() -> Iterator[None]:
    yield
    stop_tracing()


def test_rotel_hands_on_a_whole_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as found, rotel(tmp_path, found.url) as endpoint:
        names = {("rag-gateway", SEARCH)} | {("rag-query-server", name) for name, _ in KINDS}
        search_traced(
            tmp_path, endpoint, monkeypatch, lambda: {(one, span.name) for one, span in found.of_trace(TRACE)}, names
        )


@pytest.mark.catalogue("A22")
def test_the_viewer_shows_a_whole_trace_and_its_one_port_serves_no_page_of_another_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-shell")
    with phoenix(tmp_path) as (url, process):
        search_traced(
            tmp_path, url, monkeypatch, lambda: {(one["name"], one["spanKind"]) for one in spans_in(url)}, KINDS
        )
        (searched,) = [one for one in spans_in(url) if one["name"] == "search"]
        assert '"documents"' in searched["attributes"]
        assert "bell" not in str(spans_in(url)), "the text of a question"
        assert httpx.get(f"{url}/redirects/traces/{TRACE}", trust_env=False, timeout=60).status_code == 200
        members = [process, *process.children(recursive=True)]
        opened = [item for one in members for item in one.net_connections("inet") if item.status == psutil.CONN_LISTEN]
        port = int(url.rpartition(":")[2])
        assert [(item.laddr.ip, item.laddr.port) for item in opened] == [("127.0.0.1", port)]
        for answer in visit(port):
            assert not answer.readable, answer
            assert not answer.succeeded, answer
