"""Requests that never become complete, and API keys that are guessed, cost nobody else a place (CATALOGUE A02)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest

from benchmarks.abuse import frames
from ragctl.gateway.bootstrap import bootstrap
from ragctl.gateway.options import GatewayOptions, Jwt, Limits
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import Doc, RunningServer, failing, running
from tests.support.waiting import eventually
from tests.support.wire import Gateway, gateway_options, running_envoy, running_gateway

STREAMS = 100
"""As many as one connection may have open; more than the searches that are let in."""
OPEN = {"no body": b"", "half a message": frames.message(b"\x0a\x04bell")[:-2], "a message without end": b"\0" * 5}
KEY = {"x-api-key": "rag_mine"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, GatewayOptions]]:
    """A real query server behind a gateway that lets in as many searches as it holds."""
    folder = tmp_path_factory.mktemp("served")
    with running(folder / "server", docs=[Doc("The bell rings at nine.")]) as server:
        keys = Jwt("rag-platform", "rag-query", 60, jwks=json.dumps(server.keys.jwks))
        options = gateway_options(server.ports.query)
        options = replace(options, max_seconds=31, request_seconds=2, jwt=keys, searches=8)
        with running_envoy(options, folder):
            yield server, options


@pytest.mark.parametrize("credential", ["key", "token"])
@pytest.mark.parametrize("body", OPEN.values(), ids=OPEN)
def test_requests_that_never_end_hold_no_place_and_end_in_seconds(
    served: tuple[RunningServer, GatewayOptions], body: bytes, credential: str
) -> None:
    server, options = served
    address = f"{options.listen.host}:{options.listen.port}"
    token = ("authorization", f"Bearer {server.keys.token()}")
    header_block = frames.block([("x-api-key", frames.NO_KEY) if credential == "key" else token])
    with frames.connect(address) as attacker, grpc.insecure_channel(address) as channel:
        for stream in frames.streams(STREAMS):
            attacker.sendall(frames.headers(stream, header_block))
            if body:
                attacker.sendall(frames.frame(frames.DATA, 0, stream, body))
        before = upstream_requests(options)
        stub = v2_grpc.QueryServiceStub(channel)
        assert stub.Search(v2.SearchRequest(query="bell"), metadata=server.auth(), timeout=20).passages
        assert upstream_requests(options) == before + 1, "no query server heard of the others"
        frames.await_ends(attacker, STREAMS)


@pytest.mark.parametrize("body", [b"", b"\0\0\0\1\0hello", b"\0\0\0\0\0rest", b"\0" * 4])
def test_what_is_not_one_whole_message_is_refused_by_the_gateway(gateway: Gateway, body: bytes) -> None:
    gateway.peer.metadata = {}
    with grpc.insecure_channel(gateway.address) as channel:
        call = channel.unary_unary(frames.SEARCH)
        assert call(b"", timeout=10)  # a whole message, though an empty one
    assert gateway.peer.metadata
    gateway.peer.metadata = {}
    response = gateway.http.post(frames.SEARCH, content=body, headers={"content-type": "application/grpc"})
    assert response.headers["grpc-status"] == "3"
    assert "complete message" in response.headers["grpc-message"]
    assert gateway.peer.metadata == {}


def test_bodies_that_are_held_until_they_are_complete_cannot_fill_the_memory(tmp_path: Path) -> None:
    """Sixty of 4 MB are more than the gateway may hold: the largest are ended, and others are served meanwhile."""
    heap = 128 * 2**20
    changes = {"heap_bytes": heap, "max_request_bytes": 2**22, "request_seconds": 60, "max_seconds": 60}
    over = threading.Event()

    def endless() -> Iterator[bytes]:
        yield bytes(4_000_000)
        over.wait(60)

    with running_gateway(tmp_path, **changes) as gateway, grpc.insecure_channel(gateway.address) as channel:
        send = channel.stream_unary(frames.SEARCH)
        held = [send.future(endless(), timeout=60) for _ in range(60)]
        assert eventually(lambda: any(call.done() for call in held))
        stub, admin = v2_grpc.QueryServiceStub(channel), f"http://127.0.0.1:{gateway.options.admin_port}"
        # Refused at the very limit, and served as soon as the first of the others are gone.
        assert eventually(lambda: stub.Search(v2.SearchRequest(), timeout=20, wait_for_ready=True))
        assert eventually(lambda: int(httpx.get(f"{admin}/memory", timeout=60).json()["allocated"]) < heap)
        over.set()
        for call in held:
            call.cancel()


@pytest.mark.parametrize("key", [KEY, {"authorization": "Bearer rag_mine"}], ids=lambda key: next(iter(key)))
def test_calls_with_a_key_take_no_place_of_the_searches_until_a_server_let_them_in(
    tmp_path: Path, key: dict[str, str]
) -> None:
    with (
        running_gateway(tmp_path, searches=1) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        stub = v2_grpc.QueryServiceStub(channel)
        with gateway.peer.holding_searches():
            held = [stub.Search.future(v2.SearchRequest(), metadata=tuple(key.items()), timeout=20) for _ in range(3)]
            for _ in held:
                assert gateway.peer.arrived.acquire(timeout=10)
            searches = stub.Search.future(v2.SearchRequest(), timeout=20)
            assert gateway.peer.arrived.acquire(timeout=10)
            assert failing(lambda: stub.Search(v2.SearchRequest(), timeout=20)).reason == "OVERLOADED"
        assert [call.result().generation for call in (*held, searches)] == ["g"] * 4


def test_an_address_that_guesses_keys_is_stopped_and_nobody_else(tmp_path: Path) -> None:
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=0, refused_keys_per_minute=5)
    with running_gateway(tmp_path, limits=limits) as gateway:

        def ask(headers: dict[str, str], source: str = "127.0.0.1") -> httpx.Response:
            transport = httpx.HTTPTransport(local_address=source)
            with httpx.Client(transport=transport, base_url=gateway.http.base_url, timeout=20) as client:
                return client.post("/api/v2/search", json={"query": "x"}, headers=headers)

        assert ask(KEY).status_code == 200
        gateway.peer.failure = grpc.StatusCode.UNAUTHENTICATED
        guesses = [ask({"x-api-key": f"rag_{number}"}) for number in range(8)]
        assert [response.status_code for response in guesses] == [401] * 5 + [429] * 3
        assert guesses[-1].json()["details"][0]["reason"] == "RATE_LIMITED"
        assert 0 < int(guesses[-1].headers["retry-after"]) <= 60
        gateway.peer.failure = None
        assert ask({"x-api-key": "rag_new"}).status_code == 429
        with httpx.Client(base_url=gateway.http.base_url, timeout=20) as client:
            client.get("/health", headers={"x-api-key": "rag_new"})
        assert ask({"x-api-key": "rag_new"}).status_code == 429, "a page for everybody frees no key"
        assert ask(KEY).status_code == 200, "a key that was accepted from there"
        assert ask({"authorization": "Bearer t"}).status_code == 200, "a token"
        assert ask({"authorization": "Bearer t", "x-api-key": "rag_new"}).status_code == 200, "a token beside a key"
        assert ask({"x-api-key": "rag_new"}, source="127.0.0.2").status_code == 200, "another address"


def test_refused_keys_of_grpc_callers_count_as_well(tmp_path: Path) -> None:
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=0, refused_keys_per_minute=2)
    with (
        running_gateway(tmp_path, limits=limits) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        gateway.peer.failure = grpc.StatusCode.UNAUTHENTICATED
        stub = v2_grpc.QueryServiceStub(channel)
        codes = [
            failing(lambda: stub.Search(v2.SearchRequest(), metadata=tuple(KEY.items()), timeout=20)).code
            for _ in range(3)
        ]
        assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 2 + [grpc.StatusCode.RESOURCE_EXHAUSTED]


def upstream_requests(options: GatewayOptions) -> int:
    """Calls that the gateway passed on to query servers so far."""
    url = f"http://127.0.0.1:{options.admin_port}/stats?filter=cluster.query-blue.upstream_rq_total$"
    return int(httpx.get(url, trust_env=False, timeout=60).text.rpartition(": ")[2])


def test_a_connection_whose_calls_are_taken_back_again_and_again_is_closed(gateway: Gateway) -> None:
    call = frames.headers(1, frames.block([("x-api-key", frames.NO_KEY)]))
    with frames.connect(gateway.address) as attacker:

        def take_back_all() -> None:
            for stream in frames.streams(10_000):
                opened = call[:5] + stream.to_bytes(4, "big") + call[9:]
                attacker.sendall(opened + frames.frame(frames.RESET, 0, stream, b"\0\0\0\x08"))

        with pytest.raises(ConnectionError):
            take_back_all()
    assert gateway.http.post("/api/v1/query", json={"query": "x"}).status_code == 200


def test_a_connection_gets_one_request_a_turn(options: GatewayOptions) -> None:
    (layer,) = bootstrap(options)["layered_runtime"]["layers"]
    assert layer["static_layer"]["http.max_requests_per_io_cycle"] == 1
