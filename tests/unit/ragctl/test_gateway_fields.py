"""REST bodies with fields that the API does not have are refused by name, in a real Envoy (CATALOGUE A10)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rag_platform_client.errors import from_response

import ragproto
from query_server.auth.policies import POLICIES
from ragctl.gateway.api import api_methods, message_fields
from ragctl.gateway.requests import complete_requests
from tests.support.wire import Gateway, gateway_options

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
