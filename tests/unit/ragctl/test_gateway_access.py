"""Tokens, scopes, API keys, limits, origins and headers at the gateway, in a real Envoy."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt as pyjwt
import pytest

from query_server.auth.policies import POLICIES
from query_server.rate_limits import Override
from rag_core.errors import Reason
from rag_core.governance.access import generate_key, mint
from ragctl.gateway.api import api_methods
from ragctl.gateway.bootstrap import bootstrap, write_dynamic
from ragctl.gateway.options import GatewayOptions, Jwt, Limits
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from tests.support.query_server import failing
from tests.support.wire import Gateway, running_gateway

QUERY = "/api/v1/query"
PRIVATE, JWKS = generate_key()
LIMITS = Limits(
    per_minute=1,
    per_hour=40,
    burst=3,
    ip_per_minute=0,
    overrides=(Override("*", "free", 10**6, 10**6), Override("acme", "five", 5, 100)),
)
ORIGIN = "https://app.example"


def token(subject: str = "free", **claims: Any) -> str:
    wanted: dict[str, Any] = {"tenant": "acme", "scopes": ["query.read"], "lifetime": 600} | claims
    return mint(PRIVATE, subject=subject, **{"issuer": "issuer", "audience": "query", **wanted})


def bearer(subject: str = "free", **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(subject, **claims)}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    granted = (("operators", "platform.admin"), ("auditors", "platform.read"))
    rules = Jwt("issuer", "query", 60, jwks=json.dumps(JWKS), platform_groups=granted)
    folder = tmp_path_factory.mktemp("guarded")
    with running_gateway(folder, jwt=rules, limits=LIMITS, cors_origins=(ORIGIN,), expose_admin=True) as gateway:
        yield gateway


@pytest.fixture
def gateway(guarded: Gateway) -> Gateway:
    guarded.reset()
    guarded.peer.metadata = {}
    return guarded


def ask(gateway: Gateway, headers: dict[str, str], path: str = QUERY) -> httpx.Response:
    return gateway.http.post(path, json={"query": "x"}, headers=headers)


def outcome(response: httpx.Response) -> tuple[int, str]:
    if response.status_code == 200:
        return 200, ""
    return response.status_code, response.json()["details"][0]["reason"]


def signed(key: Any, **claims: Any) -> dict[str, str]:
    """A token that names our key, whichever signed it."""
    claims = {"iss": "issuer", "aud": "query", "sub": "a"} | claims
    encoded = pyjwt.encode(claims, key, algorithm="ES256", headers={"kid": JWKS["keys"][0]["kid"]})
    return {"authorization": f"Bearer {encoded}"}


FRESH = {"subject": "a", "tenant": "t", "issuer": "issuer", "audience": "query"}
REFUSED = {
    "no token": ({}, "TOKEN_MISSING"),
    "nonsense": ({"authorization": "Bearer a.b.c"}, "TOKEN_INVALID"),
    "basic": ({"authorization": "Basic YTpi"}, "TOKEN_INVALID"),
    "another key": ({"authorization": f"Bearer {mint(generate_key()[0], **FRESH)}"}, "TOKEN_INVALID"),
    "same key id, another key": (signed(generate_key()[0], exp=2**33), "TOKEN_INVALID"),
    "unsigned": ({"authorization": f"Bearer {pyjwt.encode({'sub': 'a'}, None, algorithm='none')}"}, "TOKEN_INVALID"),
    "expired": ({"authorization": f"Bearer {mint(PRIVATE, **FRESH, now=1000)}"}, "TOKEN_EXPIRED"),
    "another issuer": ({"authorization": f"Bearer {mint(PRIVATE, **FRESH | {'issuer': 'evil'})}"}, "TOKEN_INVALID"),
    "no expiry": (signed(PRIVATE), "TOKEN_INVALID"),
    "a key beside a bad token": ({"authorization": "Bearer a.b.c", "x-api-key": "rag_k"}, "TOKEN_INVALID"),
}


@pytest.mark.catalogue("S09", "S10")
@pytest.mark.parametrize(("headers", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_token_that_does_not_verify_stops_at_the_gateway(
    gateway: Gateway, headers: dict[str, str], reason: str
) -> None:
    assert outcome(ask(gateway, headers)) == (401, reason)
    assert gateway.peer.metadata == {}


@pytest.mark.catalogue("S32")
def test_another_audience_stops_at_the_gateway(gateway: Gateway) -> None:
    response = ask(gateway, bearer(audience="other"))
    assert outcome(response) == (401, "TOKEN_AUDIENCE")
    with grpc.insecure_channel(gateway.address) as channel:
        stub, metadata = v1_grpc.QueryServiceStub(channel), tuple(bearer(audience="other").items())
        refused = failing(lambda: stub.Query(v1.QueryRequest(query="x"), metadata=metadata, timeout=10))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_AUDIENCE")
    assert gateway.peer.metadata == {}


def test_a_good_token_reaches_the_server_which_gets_it_too(gateway: Gateway) -> None:
    headers = bearer()
    assert outcome(ask(gateway, headers)) == (200, "")
    assert gateway.peer.metadata["authorization"] == headers["authorization"]
    assert not {name for name in gateway.peer.metadata if name.startswith("x-auth-")}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_token_has_no_case(gateway: Gateway, scheme: str) -> None:
    assert outcome(ask(gateway, {"authorization": f"{scheme} {token()}"})) == (200, "")
    assert outcome(ask(gateway, {"authorization": f"{scheme} {token(now=1000)}"})) == (401, "TOKEN_EXPIRED")


@pytest.mark.catalogue("S05")
def test_a_method_needs_its_scope(gateway: Gateway) -> None:
    for scopes in ([], ["admin"], ["query.readx"], ["query"]):
        assert outcome(ask(gateway, bearer(scopes=scopes))) == (403, "SCOPE_MISSING")
    assert gateway.peer.metadata == {}
    assert outcome(ask(gateway, bearer(scopes=["other", "query.read"]))) == (200, "")
    with grpc.insecure_channel(gateway.address) as channel:
        stub = admin_pb2_grpc.AdminServiceStub(channel)

        def status(**claims: Any) -> admin_pb2.GetStatusResponse:
            metadata = [("authorization", f"Bearer {token(**claims)}")]
            return stub.GetStatus(admin_pb2.GetStatusRequest(), metadata=metadata, timeout=10)

        with pytest.raises(grpc.RpcError) as caught:
            status()
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert status(scopes=["admin"]) == admin_pb2.GetStatusResponse()


def test_a_tenants_admin_does_not_pass_the_gateway_to_the_platform_and_a_group_that_is_granted_it_does(
    gateway: Gateway,
) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        call = admin_pb2_grpc.AdminServiceStub(channel).PromoteGeneration

        def promote(**claims: Any) -> None:
            call(admin_pb2.PromoteGenerationRequest(), metadata=list(bearer(**claims).items()), timeout=10)

        for claims in ({"scopes": ["admin"]}, {"scopes": ["platform.read"], "groups": ["auditors"]}):
            with pytest.raises(grpc.RpcError) as caught:
                promote(**claims)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert not gateway.peer.asked
        promote(scopes=["platform.admin"])
        promote(groups=["operators"])
        assert len(gateway.peer.asked) == 2


def test_grpc_callers_get_grpc_statuses(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        stub = v1_grpc.QueryServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Query(v1.QueryRequest(query="x"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {token('flooding grpc')}"),)

        def flood() -> None:
            for _ in range(6):
                stub.Query(v1.QueryRequest(query="x"), metadata=metadata, timeout=10)

        with pytest.raises(grpc.RpcError) as caught:
            flood()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailers = {**dict(caught.value.initial_metadata() or ()), **dict(caught.value.trailing_metadata() or ())}
        assert trailers["retry-after"] == "60"


@pytest.mark.parametrize(
    ("name", "scheme"), [("x-api-key", ""), ("authorization", "Bearer "), ("authorization", "bearer ")]
)
@pytest.mark.parametrize("path", [QUERY, "/api/v2/search", "gRPC"])
def test_an_api_key_passes_to_the_server_which_verifies_it(gateway: Gateway, path: str, name: str, scheme: str) -> None:
    key = "rag_" + re.sub(r"\W", "-", f"{path}{name}{scheme}")  # each has limits of its own
    header = (name, f"{scheme}{key}")
    if path == "gRPC":
        with grpc.insecure_channel(gateway.address) as channel:
            v1_grpc.QueryServiceStub(channel).Query(v1.QueryRequest(query="x"), metadata=[header], timeout=20)
    else:
        assert outcome(ask(gateway, dict([header]), path)) == (200, "")
    assert gateway.peer.metadata["x-api-key"] == key
    assert "authorization" not in gateway.peer.metadata


def statuses(gateway: Gateway, headers: dict[str, str], calls: int) -> list[int]:
    return [ask(gateway, headers).status_code for _ in range(calls)]


@pytest.mark.catalogue("S19")
def test_a_client_beyond_its_limit_gets_a_time_to_retry_and_others_are_not_touched(gateway: Gateway) -> None:
    flood = bearer("flooding")
    # One call a minute is refilled, so a slow machine may let one more through.
    assert statuses(gateway, flood, 6)[:3] == [200, 200, 200]
    refused = ask(gateway, flood)
    assert outcome(refused) == (429, "RATE_LIMITED")
    assert refused.json()["code"] == 8
    assert refused.headers["retry-after"] == "60"
    assert ask(gateway, bearer("another")).status_code == 200
    assert ask(gateway, bearer("flooding", tenant="beta")).status_code == 200


def test_a_new_token_does_not_reset_the_limit(gateway: Gateway) -> None:
    assert [ask(gateway, bearer("renewing", lifetime=600 + n)).status_code for n in range(6)].count(429) >= 2


def test_each_api_key_has_a_limit_of_its_own(gateway: Gateway) -> None:
    assert statuses(gateway, {"x-api-key": "rag_two"}, 6).count(429) >= 2
    assert ask(gateway, {"x-api-key": "rag_three"}).status_code == 200


def test_an_override_replaces_the_limits_of_the_clients_it_names_and_of_no_others(tmp_path: Path) -> None:
    rules = Jwt("issuer", "query", 60, jwks=json.dumps(JWKS))
    for number in range(3):  # the order in which Envoy looks at descriptors differs from process to process
        folder = tmp_path / str(number)
        folder.mkdir()
        with running_gateway(folder, jwt=rules, limits=LIMITS) as gateway:
            five = statuses(gateway, bearer("five"), 9)
            assert five[:5] == [200] * 5
            assert 429 in five
            for tenant in ("acme", "beta"):
                assert statuses(gateway, bearer("free", tenant=tenant), 15) == [200] * 15
            assert 429 in statuses(gateway, bearer("five", tenant="beta"), 6)


def test_the_hourly_limit_holds_where_the_minute_allows_more(tmp_path: Path) -> None:
    limits = Limits(per_minute=0, per_hour=4, burst=1, ip_per_minute=0)
    with running_gateway(tmp_path, jwt=Jwt("issuer", "query", 60, jwks=json.dumps(JWKS)), limits=limits) as gateway:
        assert statuses(gateway, bearer("slow"), 4) == [200] * 4
        refused = ask(gateway, bearer("slow"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "900")


def test_an_address_is_limited_before_anything_is_verified(tmp_path: Path) -> None:
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=2, ip_burst=4)
    with running_gateway(tmp_path, jwt=Jwt("issuer", "query", 60, jwks=json.dumps(JWKS)), limits=limits) as gateway:
        found = [ask(gateway, {"authorization": f"Bearer a.b.{n}"}).status_code for n in range(8)]
        assert found[:4] == [401] * 4
        assert found[-1] == 429
        with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as caught:
            v1_grpc.QueryServiceStub(channel).Query(v1.QueryRequest(query="x"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_addresses_that_are_free_are_not_limited_whichever_way_envoy_hashes_its_descriptors(tmp_path: Path) -> None:
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=1, ip_burst=2, free_addresses=("127.0.0.1", "::1"))
    for number in range(3):  # the order in which Envoy looks at descriptors differs from process to process
        folder = tmp_path / str(number)
        folder.mkdir()
        with running_gateway(folder, limits=limits) as gateway:
            assert statuses(gateway, {}, 6) == [200] * 6


def test_the_default_limits_are_a_hundred_a_minute_and_a_thousand_an_hour(settings_with_keys: Any) -> None:
    production = settings_with_keys.model_copy(update={"environment": "production"})
    limits = GatewayOptions.from_settings(production).limits
    assert (limits.per_minute, limits.per_hour, limits.burst) == (100, 1000, 100)
    assert limits.overrides == limits.free_addresses == ()


def test_the_operators_own_tokens_are_free_on_a_local_stack_only(settings_with_keys: Any) -> None:
    limits = GatewayOptions.from_settings(settings_with_keys).limits
    assert {"developer", "console", "bench"} <= {item.subject for item in limits.overrides}
    assert "127.0.0.1" in limits.free_addresses


def test_only_configured_origins_may_call_from_a_browser(gateway: Gateway) -> None:
    def preflight(origin: str) -> httpx.Response:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        return gateway.http.options(QUERY, headers=headers)

    allowed = preflight(ORIGIN)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "x-api-key" in allowed.headers["access-control-allow-headers"]
    refused = preflight("https://evil.example")
    assert refused.status_code == 401
    assert "access-control-allow-origin" not in refused.headers
    assert ask(gateway, bearer() | {"origin": ORIGIN}).headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in ask(gateway, bearer() | {"origin": "https://evil.example"}).headers


def test_grpc_web_is_understood(gateway: Gateway) -> None:
    message = v1.QueryRequest(query="from a browser").SerializeToString()
    headers = {**bearer(), "content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    response = gateway.http.post(
        "/ragproto.query.v1.QueryService/Query",
        content=b"\0" + len(message).to_bytes(4, "big") + message,
        headers=headers,
    )
    assert response.headers["content-type"] == "application/grpc-web+proto"
    length = int.from_bytes(response.content[1:5], "big")
    assert v1.QueryResponse.FromString(response.content[5 : 5 + length]).answer == "from a browser"
    assert b"grpc-status:0" in response.content[5 + length :]


@pytest.mark.catalogue("S32")
def test_forged_headers_do_not_reach_the_server(gateway: Gateway) -> None:
    forged_headers = {
        "x-tenant-id": "other",
        "x-auth-tenant": "other",
        "x-auth-subject": "root",
        "x-jwt-payload": "e30",
        "x-forwarded-for": "10.9.8.7",
        "x-forwarded-host": "evil.example",
        "x-rag-index-secret": "guess",
    }
    assert ask(gateway, {**bearer(), **forged_headers}).status_code == 200
    sent = {name: value for name, value in gateway.peer.metadata.items() if name in forged_headers}
    assert set(sent) <= {"x-forwarded-for"}
    assert sent.get("x-forwarded-for") != "10.9.8.7"


@pytest.mark.catalogue("S32")
@pytest.mark.parametrize("path", ["/api/v1/query%2f..%2f", "/api%2Fv1/query", "/api/v1/../v1/nothing", "//admin"])
def test_paths_are_normalised_before_they_are_matched(gateway: Gateway, path: str) -> None:
    # httpx would normalise it itself.
    with httpx.Client(trust_env=False, timeout=60) as client:
        request = client.build_request("POST", f"http://{gateway.address}/", json={"query": "x"}, headers=bearer())
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code in {400, 404}
    assert gateway.peer.metadata == {}


@pytest.mark.catalogue("B18")
def test_headers_beyond_the_limit_are_refused(gateway: Gateway) -> None:
    assert ask(gateway, {**bearer(), "x-big": "a" * 65_536}).status_code == 431
    assert ask(gateway, {**bearer(), **{f"x-{n}": "a" for n in range(150)}}).status_code == 431
    assert gateway.peer.metadata == {}


@pytest.mark.catalogue("S32")
@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (f"POST {QUERY} HTTP/1.1", "content-length: 4\r\ntransfer-encoding: chunked", 400),
        (f"POST {QUERY} HTTP/1.1", "content-length: 4\r\ncontent-length: 3", 400),
        (f"POST {QUERY} HTTP/1.1", "transfer-encoding: xchunked", 400),
        (f"POST {QUERY} HTTP/1.1", "transfer-encoding : chunked", 400),
        (f"POST {QUERY}", "", 426),
    ],
)
def test_what_is_no_proper_request_is_the_callers_mistake_and_reaches_no_server(
    gateway: Gateway, request_line: str, headers: str, status: int
) -> None:
    host, _, port = gateway.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        token = bearer()["authorization"]
        connection.sendall(
            f"{request_line}\r\nhost: x\r\nauthorization: {token}\r\n{headers}\r\n\r\n0\r\n\r\n".encode()
        )
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == status
        assert json.loads(answer.read())["details"][0]["reason"] == Reason.FIELD_INVALID
    assert gateway.peer.metadata == {}


@pytest.mark.catalogue("S48")
def test_what_the_gateway_says_itself_names_nothing_inside(gateway: Gateway) -> None:
    bad = [
        gateway.http.post(QUERY, content=body, headers={**bearer(), "content-type": kind})
        for body in (b"", b"{", b"[]", b'{"query": 7}', b'{"top_k": "x"}', b"\xff\xfe", b'{"query": {"a": [1]}}')
        for kind in ("application/json", "text/xml", "application/x-protobuf")
    ]
    bad += [gateway.http.request(verb, QUERY, headers=bearer()) for verb in ("GET", "PUT", "DELETE", "PATCH", "TRACE")]
    for response in bad:
        text = response.text.lower()
        assert response.status_code != 500
        assert not any(word in text for word in ("envoy", "traceback", "/home", "python", "127.0.0.1", "upstream"))
        assert response.headers["server"] == "rag-gateway"
        if response.status_code >= 400:
            [*_, last] = response.json()["details"]
            assert last["request_id"] == response.headers["x-request-id"] != ""


@pytest.mark.catalogue("S11")
def test_keys_are_exchanged_while_the_gateway_runs(tmp_path: Path) -> None:
    rules = Jwt("issuer", "query", 60, jwks=json.dumps(JWKS))
    new_private, new_set = generate_key()
    new = {"authorization": f"Bearer {mint(new_private, **FRESH, scopes=['query.read'])}"}
    old = bearer("rotating")
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=0)
    with running_gateway(tmp_path, jwt=rules, limits=limits) as gateway:
        assert [ask(gateway, headers).status_code for headers in (old, new)] == [200, 401]

        def exchange(keys: list[Any], until: list[int]) -> None:
            changed = replace(gateway.options, jwt=replace(rules, jwks=json.dumps({"keys": keys})))
            assert write_dynamic(changed, tmp_path / "gateway") == ["ecds.yaml"]
            seen: list[int] = []
            while seen != until:  # milliseconds after the rename
                seen = [ask(gateway, headers).status_code for headers in (old, new)]

        exchange([*JWKS["keys"], *new_set["keys"]], [200, 200])
        exchange(new_set["keys"], [401, 200])


# --- what the files say, for every method the descriptors name ------------------------------------------------


@pytest.mark.catalogue("S03")
def test_every_method_with_a_policy_is_routed_and_guarded(options: GatewayOptions) -> None:
    exposed = {method.path for method in api_methods(options.descriptors)}
    assert exposed == {path for path in POLICIES if not path.startswith("/ragproto.admin.")}
    text = json.dumps(bootstrap(replace(options, jwt=Jwt("i", "a", 60, jwks=json.dumps(JWKS)))))
    for method in api_methods(options.descriptors):
        assert text.count(f'"{method.path}"') >= 2  # its route and its rule
    assert "IndexService" not in text
    assert "ragproto.admin" not in text


def test_only_reads_are_sent_a_second_time_after_they_may_have_arrived(options: GatewayOptions) -> None:
    routes = _routes(bootstrap(replace(options, expose_admin=True)))
    for method in api_methods(options.descriptors, admin=True):
        retry_on = routes[method.path]["route"]["retry_policy"]["retry_on"]
        assert ("reset" in retry_on.split(",")) == POLICIES[method.path].repeatable


def _routes(config: dict[str, Any]) -> dict[str, Any]:
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return {route.get("name", ""): route for route in manager["route_config"]["virtual_hosts"][0]["routes"]}
