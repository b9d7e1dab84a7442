"""Only a server that is dead, hangs or is not ready leaves the rotation; nothing a caller sends takes one out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from benchmarks.abuse import frames
from ragctl.gateway.bootstrap import bootstrap
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions, Jwt, Limits
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.postgres import outage
from tests.support.query_server import Doc, RunningServer, running
from tests.support.wire import Gateway, gateway_options, running_envoy, running_gateway, wire_peer

MANY = 40
"""Far more than any number of failures in a row after which a proxy would take a server out."""
MALFORMED = {
    "a flag that does not exist": b"\xff\0\0\0\5hello",
    "shorter than its length": b"\0\0\0\1\0hello",
    "longer than its length": b"\0\0\0\0\0rest",
    "no message": b"",
    "not the message of the method": frames.message(b"\xff\xff\xff\xff\xff"),
    "said to be compressed": b"\1\0\0\0\5hello",
    "said to have 4 GiB": b"\0\xff\xff\xff\xffhello",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, GatewayOptions]]:
    """A real query server behind a gateway without limits of calls."""
    folder = tmp_path_factory.mktemp("served")
    with running(folder / "server", docs=[Doc("The bell rings at nine.")]) as server:
        keys = Jwt("rag-platform", "rag-query", 60, jwks=json.dumps(server.keys.jwks))
        limits = Limits(per_minute=0, per_hour=0, ip_per_minute=0, refused_keys_per_minute=0)
        options = replace(gateway_options(server.ports.query), jwt=keys, limits=limits)
        with running_envoy(options, folder):
            yield server, options


def search(served: tuple[RunningServer, GatewayOptions]) -> None:
    """An honest search, which must be answered at the first attempt."""
    server, options = served
    with grpc.insecure_channel(f"{options.listen.host}:{options.listen.port}") as channel:
        request = v2.SearchRequest(query="bell")
        assert v2_grpc.QueryServiceStub(channel).Search(request, metadata=server.auth(), timeout=20).passages


def send(served: tuple[RunningServer, GatewayOptions], body: bytes, *extra: tuple[str, str]) -> None:
    """Many calls on one connection; returns when each has ended."""
    _, options = served
    with frames.connect(f"{options.listen.host}:{options.listen.port}") as attacker:
        header_block = frames.block(extra)
        attacker.sendall(b"".join(frames.call(stream, header_block, body) for stream in frames.streams(MANY)))
        frames.await_ends(attacker, MANY)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.catalogue("A01")
def test_malformed_messages_eject_no_server(served: tuple[RunningServer, GatewayOptions], body: bytes) -> None:
    token = f"Bearer {served[0].keys.token()}"
    for credential in (("authorization", token), ("x-api-key", frames.NO_KEY)):
        send(served, body, credential)
        search(served)


@pytest.mark.parametrize("deadline", ["1n", "4m"])
@pytest.mark.catalogue("A01")
def test_deadlines_that_no_server_can_keep_eject_none(
    served: tuple[RunningServer, GatewayOptions], deadline: str
) -> None:
    token = f"Bearer {served[0].keys.token()}"
    send(served, frames.message(b""), ("authorization", token), ("grpc-timeout", deadline))
    search(served)


@pytest.mark.catalogue("A04")
def test_calls_whose_database_is_away_eject_no_server(served: tuple[RunningServer, GatewayOptions]) -> None:
    server, options = served
    headers = dict(server.auth(scopes=["documents.read"]))
    with (
        httpx.Client(
            base_url=f"http://{options.listen.host}:{options.listen.port}", trust_env=False, timeout=60
        ) as client,
        outage(server.database_url),
    ):
        for _ in range(8):
            response = client.get("/api/v1/documents", headers=headers, timeout=30)
            assert (response.status_code, response.json()["details"][0]["reason"]) == (503, "DATABASE_UNAVAILABLE")
        search(served)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_no_status_of_a_server_ejects_it(gateway: Gateway, code: grpc.StatusCode) -> None:
    gateway.peer.failure = code
    for _ in range(MANY):
        gateway.http.post("/api/v1/query", json={"query": "x"})
    gateway.peer.failure = None
    assert gateway.http.post("/api/v1/query", json={"query": "x"}).status_code == 200


def test_a_typed_refusal_of_a_server_is_not_asked_for_again(gateway: Gateway) -> None:
    seen: list[Any] = []
    gateway.peer.failure = grpc.StatusCode.UNAVAILABLE
    receive = gateway.peer.receive

    async def counted(context: Any) -> None:
        seen.append(context)
        await receive(context)

    gateway.peer.receive = counted
    try:
        assert gateway.http.post("/api/v1/query", json={"query": "x"}).status_code == 503
    finally:
        gateway.peer.receive = receive
    assert len(seen) == 1


def test_the_last_server_is_asked_although_it_is_not_ready_and_answers_for_itself(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        gateway.peer.set_ready(False)
        while healthy(gateway.options.admin_port):
            assert gateway.http.post("/api/v1/query", json={"query": "x"}).status_code == 200
        for _ in range(MANY):
            assert gateway.http.post("/api/v1/query", json={"query": "x"}).status_code == 200


def test_calls_go_to_the_servers_that_are_ready_while_there_are_any(tmp_path: Path) -> None:
    with wire_peer() as ready, wire_peer() as other:
        backends = Backends(tuple(Endpoint("127.0.0.1", peer.port) for peer in (ready, other)))
        options = replace(gateway_options(), blue=backends)
        with running_envoy(options, tmp_path) as address, httpx.Client(trust_env=False, timeout=60) as client:
            other.set_ready(False)
            while healthy(options.admin_port) != 1:
                pass
            other.failure = grpc.StatusCode.UNAVAILABLE
            for _ in range(MANY):
                assert client.post(f"http://{address}/api/v1/query", json={"query": "x"}).status_code == 200


def test_no_rule_but_health_checks_takes_a_server_out(options: GatewayOptions) -> None:
    clusters: list[dict[str, Any]] = bootstrap(options)["static_resources"]["clusters"]
    for cluster in clusters:
        assert "outlier_detection" not in cluster
        assert cluster.get("health_checks") is not None or cluster["name"] in {"jwks", "envoy-admin"}


def healthy(admin_port: int) -> int:
    """Query servers that the gateway takes for healthy."""
    url = f"http://127.0.0.1:{admin_port}/stats?filter=cluster.query-blue.membership_healthy"
    return int(httpx.get(url, trust_env=False, timeout=60).text.rpartition(": ")[2])
