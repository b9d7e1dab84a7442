"""The service as a process, its probes, and how the gateway divides callers between several of them. A request in
OpenAI's shape is one trace: the interfaces, the query server, and each retrieval leg. What a suspended tenant gets of
the open interfaces: the same refusal at every route that takes credentials."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from starlette.routing import Route

import interfaces
from interfaces.platform import Credentials
from interfaces.server import build_app
from interfaces.settings import InterfacesSettings
from rag_core.errors import Reason
from rag_core.governance.tenants import store as tenants
from ragctl.gateway.options import Backends, Endpoint
from tests.integration.interfaces.conftest import QUESTION
from tests.support.interfaces import OpenInterfaces, behind_gateway, running_interfaces
from tests.support.query_server import RunningServer
from tests.support.traces import Recorded, parent_of, recorded_traces  # noqa: F401
from tests.support.waiting import eventually
from tests.support.wire import free_port

COMMAND = [sys.executable, "-P", "-m", "interfaces"]


def environment(**settings: object) -> dict[str, str]:
    return os.environ | {f"RAG_INTERFACES_{name.upper()}": str(value) for name, value in settings.items()}


def test_it_says_that_it_runs_and_whether_it_can_answer_and_stops_on_a_signal(open_interfaces: OpenInterfaces) -> None:
    port = free_port()
    wanted = environment(port=port, query_address=open_interfaces.server.target)
    with (
        subprocess.Popen(COMMAND, env=wanted, stdout=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http,
    ):
        assert eventually(lambda: _alive(http))
        assert (http.get("/ready").status_code, http.get("/ready").json()["ready"]) == (200, True)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=20)
    assert process.returncode in {0, -signal.SIGTERM}
    assert all(line.startswith('{"time": ') for line in printed.splitlines())


def _alive(http: httpx.Client) -> bool:
    try:
        return http.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_without_a_query_server_it_runs_and_is_not_ready(open_interfaces: OpenInterfaces) -> None:
    server = replace(open_interfaces.server, ports=replace(open_interfaces.server.ports, query=free_port()))
    with running_interfaces(server) as alone, httpx.Client(base_url=alone.url, trust_env=False, timeout=60) as http:
        assert http.get("/health").status_code == 200
        answer = http.get("/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": ["SERVER_UNAVAILABLE"]})
        token = {"authorization": f"Bearer {alone.token()}"}
        refused = http.get("/v1/models", headers=token)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVER_UNAVAILABLE")


def test_a_wrong_setting_ends_it_with_its_name() -> None:
    done = subprocess.run(
        COMMAND, env=environment(port="many"), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "RAG_INTERFACES_PORT" in done.stdout


@contextmanager
def holding_a_place(found: OpenInterfaces, credentials: dict[str, str]) -> Iterator[None]:
    """A request that is taken and whose body does not come."""
    with closing(HTTPConnection(found.url.removeprefix("http://"), timeout=60)) as slow:
        slow.putrequest("POST", "/v1/chat/completions")
        for name, value in {**credentials, "expect": "100-continue", "content-length": "2"}.items():
            slow.putheader(name, value)
        slow.endheaders()
        assert slow.sock.recv(64).startswith(b"HTTP/1.1 100 "), "what takes the request asks for its body"
        yield
        slow.send(b"[]")
        assert slow.getresponse().status == 400


def test_more_requests_than_it_takes_are_refused_at_once(open_interfaces: OpenInterfaces) -> None:
    with running_interfaces(open_interfaces.server, max_in_flight=1) as alone:
        token = {"authorization": f"Bearer {alone.token()}"}
        with holding_a_place(alone, token):
            refused = httpx.get(f"{alone.url}/v1/models", headers=token, trust_env=False, timeout=60)
    found = (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"])
    assert found == (429, "OVERLOADED", "1")


@pytest.mark.catalogue("A28")
def test_the_keys_of_a_tenant_and_those_nobody_knows_have_half_of_the_places_at_most(
    open_interfaces: OpenInterfaces,
) -> None:
    fillers = [[{"x-api-key": open_interfaces.new_key()} for _ in range(3)], [{}, {"x-api-key": "rag_x_y"}, {}]]
    neighbour = {"x-api-key": open_interfaces.new_key("neighbour")}
    with running_interfaces(open_interfaces.server, max_in_flight=4) as alone:
        for one, other, third in fillers:
            with holding_a_place(alone, one), holding_a_place(alone, other):
                third_answer, honest = (
                    httpx.get(f"{alone.url}/v1/models", headers=headers, trust_env=False, timeout=60)
                    for headers in (third, neighbour)
                )
            assert (third_answer.status_code, third_answer.json()["error"]["code"]) == (429, "OVERLOADED")
            assert honest.status_code == 200


def test_the_requests_of_a_caller_go_to_one_server_where_its_files_wait(
    open_interfaces: OpenInterfaces, tmp_path: Path
) -> None:
    server: RunningServer = open_interfaces.server
    with running_interfaces(server) as one, running_interfaces(server) as other:
        ports = [int(found.url.rpartition(":")[2]) for found in (one, other)]
        both = Backends(tuple(Endpoint("127.0.0.1", port) for port in ports))
        with behind_gateway(one, tmp_path, interfaces=both) as found:
            placed = {subject: _server_of(found, subject, (one, other)) for subject in map(str, range(12))}
    assert set(placed.values()) == {0, 1}, "nobody went to one of them"


def _server_of(found: OpenInterfaces, subject: str, servers: tuple[OpenInterfaces, OpenInterfaces]) -> int:
    """Which server has the caller's file; each request with a new token."""
    url = f"{found.url}/v1"
    with openai.OpenAI(base_url=url, api_key=found.token(subject=subject), max_retries=0) as client:
        sent = client.files.create(file=("a.md", b"a"), purpose="assistants")
        for lifetime in (500, 501, 502):
            renewed = client.with_options(api_key=found.token(subject=subject, lifetime=lifetime))
            assert renewed.files.retrieve(sent.id).id == sent.id
        for number, server in enumerate(servers):
            direct = client.with_options(base_url=f"{server.url}/v1")
            try:
                direct.files.retrieve(sent.id)
            except openai.NotFoundError:
                continue
            return number
    raise AssertionError("the file is nowhere")


@pytest.mark.parametrize("path", sorted(Path(interfaces.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_every_reason_is_one_of_the_platform(path: Path) -> None:
    found = re.findall(r'ApiError\(\s*\d+,\s*"(\w+)"', path.read_text("utf-8"))
    assert set(found) <= {reason.value for reason in Reason}


TRACE = "0af7651916cd43dd8448eb211c80319c"
CHAT = "POST /v1/chat/completions"
ANSWER = "ragproto.query.v2.QueryService/Answer"


def ask(found: OpenInterfaces, **body: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {found.token()}", "traceparent": parent_of(TRACE)}
    asked = {"model": "extractive", "messages": [{"role": "user", "content": QUESTION}]} | body
    return httpx.post(f"{found.url}/v1/chat/completions", json=asked, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_traced_to_each_leg(open_interfaces: OpenInterfaces, traces: Recorded, stream: bool) -> None:
    assert ask(open_interfaces, stream=stream).status_code == 200
    chat = traces.named(TRACE, CHAT)
    said = dict(chat.attributes or {})
    assert said["http.response.status_code"] == 200
    assert said["http.route"] == "/v1/chat/completions"
    traces.assert_ancestors(traces.named(TRACE, "dense leg"), "search", ANSWER, CHAT)
    assert "vacation" not in "".join(one.to_json() for one in traces.exporter.get_finished_spans())


def test_a_refusal_is_the_callers_and_not_a_failure(open_interfaces: OpenInterfaces, traces: Recorded) -> None:
    assert ask(open_interfaces, messages=[]).status_code == 400
    chat = traces.named(TRACE, CHAT)
    assert (chat.attributes or {})["error.type"] == "400"
    assert chat.status.is_unset


def test_without_traces_here_the_callers_context_is_still_passed_on() -> None:
    passed = Credentials.of_headers({"traceparent": parent_of(TRACE), "tracestate": "a=1"})
    assert dict(passed.metadata) == {"traceparent": parent_of(TRACE), "tracestate": "a=1"}


_CHAT = {"model": "extractive", "messages": [{"role": "user", "content": "x"}]}
_BODIES: dict[str, Any] = {
    "/v1/chat/completions": _CHAT,
    "/v1/vector_stores/{store}/search": {"query": "x"},
    "/v1/vector_stores/{store}/files": {"file_id": "{file}"},
}
_METHODS = ("initialize", "ping", "tools/list", "resources/list", "resources/templates/list", "tools/call")


def _routes() -> list[tuple[str, str]]:
    routes = [route for route in build_app(InterfacesSettings()).routes if isinstance(route, Route)]
    found = [(method, one.path) for one in routes if one.path.startswith("/v1/") for method in one.methods or ()]
    return sorted(pair for pair in found if pair[0] != "HEAD")


@pytest.fixture(scope="module")
def suspended(open_interfaces: OpenInterfaces) -> tuple[OpenInterfaces, dict[str, str], str]:
    """The service, the token of a tenant that was suspended, and the file that it had uploaded before."""
    with open_interfaces.database() as connection:
        tenants.create(connection, "closing", actor="op")
    token = {"authorization": f"Bearer {open_interfaces.token(tenant='closing')}"}
    sent = httpx.post(
        f"{open_interfaces.url}/v1/files", headers=token, data={"purpose": "assistants"},
        files={"file": ("names of a reorganisation.md", b"x")}, trust_env=False, timeout=60,
    )  # fmt: skip
    with open_interfaces.database() as connection:
        tenants.suspend(connection, "closing", actor="op")
    models = f"{open_interfaces.url}/v1/models"
    assert eventually(lambda: httpx.get(models, headers=token, trust_env=False, timeout=60).status_code == 403)
    return open_interfaces, token, sent.json()["id"]


@pytest.mark.parametrize(("method", "path"), _routes(), ids=lambda part: part)
def test_a_suspended_tenant_reads_nothing_by_any_route(
    suspended: tuple[OpenInterfaces, dict[str, str], str], method: str, path: str
) -> None:
    found, token, file_id = suspended
    body = _BODIES.get(path) if method == "POST" else None
    filled = path.format(store="handbook", file=file_id, model="extractive")
    content = {"json": {**body, **({"file_id": file_id} if "file_id" in body else {})}} if body else {}
    answer = httpx.request(method, found.url + filled, headers=token, trust_env=False, timeout=60, **content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "TENANT_SUSPENDED")
    assert "reorganisation" not in answer.text


@pytest.mark.parametrize("method", _METHODS)
def test_a_suspended_tenant_reads_nothing_by_mcp(
    suspended: tuple[OpenInterfaces, dict[str, str], str], method: str
) -> None:
    found, token, _ = suspended
    answer = httpx.post(
        f"{found.url}/mcp", headers={**token, "accept": "application/json, text/event-stream"},
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}, trust_env=False, timeout=60,
    )  # fmt: skip
    assert (answer.status_code, answer.json()["error"]["data"]["reason"]) == (403, "TENANT_SUSPENDED")
