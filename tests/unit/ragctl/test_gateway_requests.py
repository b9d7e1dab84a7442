"""Requests that never become complete, and API keys that are guessed, cost nobody else a place (CATALOGUE A02). REST
bodies with fields that the API does not have are refused by name, in a real Envoy (CATALOGUE A10)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from rag_platform_client.errors import from_response

import ragproto
from benchmarks.abuse import frames
from query_server.auth.policies import POLICIES
from ragctl.gateway.api import api_methods, message_fields
from ragctl.gateway.bootstrap import bootstrap
from ragctl.gateway.options import GatewayOptions, Jwt, Limits
from ragctl.gateway.requests import complete_requests
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


SEARCH, BATCH, QUERY = "/api/v2/search", "/api/v2/search/batch", "/api/v1/query"
DESCRIPTORS = Path(ragproto.__file__).parent / "descriptors.binpb"


def post(gateway: Gateway, path: str, body: Any) -> httpx.Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.http.post(path, content=text, headers={"content-type": "application/json"})


REFUSED: dict[str, tuple[str, Any, str, str]] = {
    "a misspelt field": (SEARCH, {"query": "x", "filters": {}}, "FIELD_UNKNOWN", "filters"),
    "of another version": (QUERY, {"query": "x", "mode": 1}, "FIELD_UNKNOWN", "mode"),
    "tenant": (SEARCH, {"query": "x", "tenant_id": "other"}, "RESERVED_FIELD", "tenant_id"),
    "permissions": (SEARCH, {"query": "x", "acl": ["everyone"]}, "RESERVED_FIELD", "acl"),
    "score": (QUERY, {"query": "x", "score": 1}, "RESERVED_FIELD", "score"),
    "index version": (SEARCH, {"index_version": "g", "query": "x"}, "RESERVED_FIELD", "index_version"),
    "in a message": (SEARCH, {"filter": {"in": {"fields": "x"}}}, "FIELD_UNKNOWN", "filter.in.fields"),
    "in a list": (
        BATCH,
        {"searches": [{"query": "x"}, {"query": "[{,", "filter": {"not": {"acl": 1}}}]},
        "RESERVED_FIELD",
        "searches[1].filter.not.acl",
    ),
    "deep in lists": (
        SEARCH,
        {"filter": {"all": {"conditions": [{"eq": {"field": "a", "value": "b"}}, {"eq": {"like": "b"}}]}}},
        "FIELD_UNKNOWN",
        "filter.all.conditions[1].eq.like",
    ),
    "after a text with quotes": (SEARCH, {"query": 'a "quoted" \\', "colour": 1}, "FIELD_UNKNOWN", "colour"),
    "written with escapes": (SEARCH, b'{"query":"x","\\u0061cl":["everyone"]}', "FIELD_UNKNOWN", "?u0061cl"),
    "in apostrophes": (SEARCH, b"{'query':'x','acl':['everyone']}", "RESERVED_FIELD", "acl"),
    "without quotes": (SEARCH, b'{query:"x", acl:["everyone"]}', "FIELD_INVALID", "quoted"),
    "a name that is long": (SEARCH, {"a" * 5000: 1}, "FIELD_UNKNOWN", "a" * 64 + ":"),
    "a name that is not text": (SEARCH, {"<b>\n": 1}, "FIELD_UNKNOWN", "?b"),
    "levels without end": (SEARCH, b'{"filter":' + b'{"not":' * 400, "FIELD_INVALID", "deeply"),
    "values without end": (SEARCH, b'{"filter":{"in":{"values":[' + b'"",' * 5500, "FIELD_INVALID", "too many"),
    "commas without end": (SEARCH, b'{"query":"x"' + b"," * 15_000, "FIELD_INVALID", "too many"),
}


@pytest.mark.parametrize(("path", "body", "reason", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.catalogue("A10")
def test_a_field_that_the_api_does_not_have_is_refused_by_its_path(
    gateway: Gateway, path: str, body: Any, reason: str, said: str
) -> None:
    gateway.peer.metadata = {}
    response = post(gateway, path, body)
    assert (response.status_code, response.json()["details"][0]["reason"]) == (400, reason)
    assert said in response.json()["message"]
    named = from_response(400, response.headers, response.content).fields
    if reason == "FIELD_INVALID":
        assert named == {}
    else:
        [(field, description)] = named.items()
        assert [bad["field_violations"][0]["field"] for bad in response.json()["details"][1:2]] == [field]
        assert response.json()["message"] == f"{field}: {description}"
        assert field.startswith(said.rstrip(":"))
    assert gateway.peer.metadata == {}


ACCEPTED: dict[str, tuple[str, Any]] = {
    "names of the proto file": (SEARCH, {"query": "x", "top_k": 3, "max_per_document": 2}),
    "names of JSON": (SEARCH, {"query": "x", "topK": 3, "maxPerDocument": 2}),
    "any key of a map": (QUERY, {"query": "x", "filter": {"acl": "x", "tenant_id": "y"}}),
    "names inside of texts": (SEARCH, {"query": '{"acl": 1, \\"tenant_id\\": [2]}'}),
    "nothing": (SEARCH, {}),
    "empty values": (SEARCH, {"query": "", "filter": {"all": {"conditions": []}}}),
    "values of every kind": (SEARCH, {"query": "x", "highlight": True, "diversity": 0.5, "rerank": None}),
    "a time": (SEARCH, {"query": "x", "filter": {"time": {"field": "updated_at", "gte": "2026-01-01T00:00:00Z"}}}),
    "a batch": (BATCH, {"searches": [{"query": "x", "filter": {"exists": {"field": "t"}}}] * 16}),
}


@pytest.mark.parametrize(("path", "body"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_api_has_passes(gateway: Gateway, path: str, body: Any) -> None:
    response = post(gateway, path, body)
    assert response.status_code in {200, 501}, response.text  # the peer of this test has no batches
    assert response.status_code == 200 or path == BATCH


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'"', b'{"query":"x"}}', b'{"query":"', b"\xff", b"]", b'{"a"}'])
def test_broken_json_is_left_to_the_transcoder(gateway: Gateway, text: bytes) -> None:
    response = post(gateway, SEARCH, text)
    assert response.status_code in {200, 400}
    assert response.status_code == 200 or response.json()["details"][0]["reason"] == "FIELD_INVALID"


def test_every_body_of_the_api_is_checked_against_its_message() -> None:
    fields = message_fields(DESCRIPTORS)
    script = str(complete_requests(gateway_options()))
    bodies = {
        binding.message: method.path
        for method in api_methods(DESCRIPTORS, admin=True)
        for binding in method.rest
        if binding.verb in {"POST", "PUT"}
    }
    # Its body is what a store of objects sends, which is no message of ours.
    assert bodies.pop("").endswith("/ReceiveObjectEvents")
    assert len(bodies) >= 6
    assert {method.path for method in api_methods(DESCRIPTORS, admin=True)} == set(POLICIES)
    for name in bodies:
        assert fields[name]
        assert re.search(rf'\["{re.escape(name)}"\] = ', script)


@pytest.mark.parametrize("name", ["grpc-trace-bin", "x-own-bin", "grpc-encoding", "grpc-previous-rpc-attempts"])
def test_headers_of_grpc_have_no_effect_on_a_rest_call(gateway: Gateway, name: str) -> None:
    headers = {name: "not base64!", "content-type": "application/json"}
    posted = gateway.http.post(SEARCH, json={"query": "x"}, headers=headers)
    listed = gateway.http.get("/api/v1/documents", headers=headers)
    assert (posted.status_code, listed.status_code) == (200, 200)
    assert name not in gateway.peer.metadata


def test_a_streamed_body_is_collected_also_where_none_is_expected(gateway: Gateway) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"{"
        yield b"}"

    assert gateway.http.request("GET", "/api/v1/documents", content=pieces()).status_code < 500
