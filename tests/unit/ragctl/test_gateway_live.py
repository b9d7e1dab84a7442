"""A gateway that is changed while it runs: weights, members, certificates; and what it is spared."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.ports import free_port
from interfaces.platform import Credentials, Platform
from interfaces.settings import InterfacesSettings
from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.commands.mcp import through_gateway
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.live import apply, current_options, shift
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions, Tls, replica_ports
from ragctl.grpc_client import open_gateway
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.certificates import self_signed
from tests.support.waiting import eventually
from tests.support.wire import Gateway, WirePeer, running_gateway, wire_peer

QUERY = "/api/v1/query"


async def documents_through(settings: Settings) -> list[Any]:
    """What `rag mcp` sees of the gateway."""
    async with Platform(through_gateway(settings)) as platform:
        return list((await platform.of(Credentials(())).documents(size=1)).documents)


@pytest.fixture
def green() -> Iterator[WirePeer]:
    with wire_peer() as peer:
        peer.query = lambda request: v1.QueryResponse(answer="green")
        yield peer


@pytest.mark.catalogue("F39")
def test_traffic_moves_between_blue_and_green_without_a_failed_call(tmp_path: Path, green: WirePeer) -> None:
    colours = Backends((Endpoint("127.0.0.1", green.port),))
    with running_gateway(tmp_path, green=colours) as gateway:
        gateway.peer.query = lambda request: v1.QueryResponse(answer="blue")

        def answers_until(percent: int, wanted: str) -> None:
            changed = write_dynamic(replace(gateway.options, green_percent=percent), tmp_path / "gateway")
            assert changed == ["rds.yaml"]
            answer = ""
            while answer != wanted:  # each answer on the way is one of the two, and none fails
                response = gateway.http.post(QUERY, json={"query": "x"})
                assert response.status_code == 200
                answer = response.json()["answer"]
                assert answer in {"blue", "green"}

        # Green is known since the start, and its health was checked with blue's.
        for percent, wanted in ((100, "green"), (0, "blue"), (100, "green")):
            answers_until(percent, wanted)
        answers_until(50, "blue")
        found = {gateway.http.post(QUERY, json={"query": "x"}).json()["answer"] for _ in range(60)}
        assert found == {"blue", "green"}


async def _searched_through(where: Endpoint, calls: int) -> list[str]:
    """The generations that the open interfaces got answers of, by the gateway's listener for them."""
    sent = Credentials.of_headers({"authorization": "Bearer of-the-caller", "x-request-id": "of-the-caller"})
    async with Platform(InterfacesSettings(query_address=f"{where.host}:{where.port}")) as platform:
        assert await platform.ready()
        found = [await platform.of(sent).search(v2.SearchRequest(query="x")) for _ in range(calls)]
        return [one.generation for one in found]


def test_the_open_interfaces_get_the_same_share_of_each_colour_with_their_callers_own_token(
    tmp_path: Path, green: WirePeer
) -> None:
    green.operations["Search"] = v2.SearchResponse(generation="green")
    internal, colours = Endpoint("127.0.0.1", free_port()), Backends((Endpoint("127.0.0.1", green.port),))
    interfaces = Backends((Endpoint("127.0.0.1", free_port()),))
    with running_gateway(tmp_path, green=colours, interfaces=interfaces, internal=internal) as gateway:
        gateway.peer.operations["Search"] = v2.SearchResponse(generation="blue")
        for percent, wanted in ((0, {"blue"}), (100, {"green"}), (50, {"blue", "green"}), (0, {"blue"})):
            write_dynamic(replace(gateway.options, green_percent=percent), tmp_path / "gateway")
            # What was sent before the new routes were read counts for the old ones; none of it fails.
            assert eventually(lambda: set(asyncio.run(_searched_through(internal, 40))) == wanted)  # noqa: B023
        assert gateway.peer.metadata["authorization"] == "Bearer of-the-caller"
        assert gateway.peer.metadata["x-request-id"] == "of-the-caller"


def test_a_server_joins_and_leaves_by_file_without_a_failed_call(tmp_path: Path, green: WirePeer) -> None:
    with running_gateway(tmp_path) as gateway:
        gateway.peer.query = lambda request: v1.QueryResponse(answer="first")
        first = gateway.options.blue.query
        second = (Endpoint("127.0.0.1", green.port),)

        def members(where: tuple[Endpoint, ...]) -> None:
            changed = replace(gateway.options, blue=replace(gateway.options.blue, query=where))
            assert write_dynamic(changed, tmp_path / "gateway") == ["eds-query-blue.yaml"]

        def until(wanted: str) -> None:
            answer = ""
            while answer != wanted:
                response = gateway.http.post(QUERY, json={"query": "x"})
                assert response.status_code == 200
                answer = response.json()["answer"]

        members(first + second)
        until("green")
        members(second)
        gateway.peer.stop()
        until("green")


@pytest.mark.catalogue("F36")
def test_a_configuration_envoy_refuses_changes_nothing(settings_with_keys: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    apply(settings_with_keys, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigError, match="Envoy refuses"):
        apply(settings_with_keys.model_copy(update={"host": "no address"}), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_share_of_green_is_remembered_while_there_is_a_green(settings_with_keys: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    two = settings_with_keys.model_copy(update={"gateway_green": "10.0.0.2:50051"})
    shift(two, folder, 10)
    assert current_options(two, folder).green_percent == 10
    assert current_options(settings_with_keys, folder).green_percent == 0
    with pytest.raises(ConfigError) as caught:
        shift(two, folder, 101)
    assert caught.value.reason is Reason.CONFIG_RANGE
    with pytest.raises(ConfigError, match="GREEN"):
        shift(settings_with_keys, folder, 1)


def test_tls_is_served_and_a_new_certificate_taken_up(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    port = free_port()
    tls = Tls(certificate, key)
    with running_gateway(tmp_path, tls=tls, listen=Endpoint("127.0.0.1", port)) as gateway:
        url = f"https://127.0.0.1:{port}{QUERY}"

        def ask(authority: str) -> int:
            context = ssl.create_default_context(cadata=authority)
            with httpx.Client(trust_env=False, verify=context, timeout=10) as client:
                return client.post(url, json={"query": "x"}).status_code

        first = certificate.read_text()
        assert ask(first) == 200
        at = Settings(home=tmp_path, gateway_tls_certificate=certificate, gateway_port=port)
        assert asyncio.run(documents_through(at)) == []
        with open_gateway(at) as channel:  # as `rag query` and the other commands
            v2_grpc.QueryServiceStub(channel).Search(v2.SearchRequest(query="x"), timeout=10)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url.replace("https", "http"), json={"query": "x"}, trust_env=False, timeout=60)
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        for made, path in zip(self_signed(fresh), (certificate, key), strict=True):
            os.replace(made, path)  # noqa: PTH105  by rename, as a certificate manager does it
        second = certificate.read_text()
        seen = 0
        while seen != 200:
            try:
                seen = ask(second)
            except httpx.ConnectError:
                continue
        with pytest.raises(httpx.ConnectError):
            ask(first)
        assert gateway.peer.metadata


def test_a_certificate_that_commands_cannot_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("no certificate")
    at = Settings(home=tmp_path, gateway_tls_certificate=tmp_path / "a.pem")
    with pytest.raises(ConfigError, match="RAG_GATEWAY_TLS_CERTIFICATE"), open_gateway(at):
        pass


def test_prometheus_reads_the_statistics_and_nothing_else_of_the_admin_interface(tmp_path: Path) -> None:
    metrics = Endpoint("127.0.0.1", free_port())
    with running_gateway(tmp_path, metrics=metrics) as gateway:
        gateway.http.post(QUERY, json={"query": "x"})
        base = f"http://127.0.0.1:{metrics.port}"
        page = httpx.get(f"{base}/stats/prometheus", trust_env=False, timeout=60).text
        assert 'envoy_cluster_membership_healthy{envoy_cluster_name="query-blue"} 1' in page
        for path in ("/", "/config_dump", "/quitquitquit", "/stats", "/stats/prometheus/../../config_dump", "/certs"):
            assert httpx.get(f"{base}{path}", trust_env=False, timeout=60).status_code == 404
        assert httpx.post(f"{base}/stats/prometheus", trust_env=False, timeout=60).status_code == 404


@pytest.mark.catalogue("A22")
def test_a_page_in_a_browser_changes_and_reads_nothing_of_the_admin_interface(gateway: Gateway) -> None:
    port, socket = gateway.options.admin_port, gateway.options.admin_socket
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    page: dict[str, str] = {
        "origin": "http://evil.example",
        "sec-fetch-site": "cross-site",
        "content-type": "text/plain",
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        for path in ("/quitquitquit", "/logging?level=trace", "/reset_counters", "/drain_listeners?graceful",
                     "/healthcheck/fail", "/stats", "/clusters", "/runtime_modify?a=1"):  # fmt: skip
            assert client.post(path, headers=page).status_code == 404, path
            assert client.get(path, headers={"host": f"evil.example:{port}"}).status_code == 404, path
            drained = {"x-rag-drain": "1", "host": f"evil.example:{port}"}
            assert client.post(path, headers=drained).status_code == 404, path
        for path in ("/", "/config_dump", "/certs", "/logging", "/help", "/stats/../config_dump"):
            assert client.get(path).status_code == 404, path
        assert client.options("/drain_listeners", headers=page).status_code == 404
        answer = client.get("/ready", headers=page)
        assert answer.text == "LIVE\n"
        assert "access-control-allow-origin" not in answer.headers
        assert "query-blue" in client.get("/clusters?format=json").text
        assert client.get("/stats", params={"filter": "http.public.downstream_rq_active"}).text.endswith(": 0\n")
    assert gateway.http.post(QUERY, json={"query": "x"}).status_code == 200


def test_the_status_page_answers_probes_and_the_configured_names(tmp_path: Path) -> None:
    metrics = Endpoint("127.0.0.1", free_port())
    services = [f"rag-rag-platform-part-{number}.namespace.svc.cluster.local" for number in range(30)]
    with running_gateway(tmp_path, metrics=metrics, allowed_hosts=("gateway", "a.b", *services)) as gateway:
        known = {services[-1], "10.1.2.3:9902", "Gateway:9902", "a.b", "localhost", "[::1]:9902"}
        for name in known | {"axb", "evil.example", "gateway.evil.example", "1.evil.example"}:
            for port in (metrics.port, gateway.options.admin_port):
                url = f"http://127.0.0.1:{port}/stats/prometheus"
                answer = httpx.get(url, headers={"host": name}, trust_env=False, timeout=60)
                assert answer.status_code == (200 if name in known else 404), name
        drain = f"http://127.0.0.1:{gateway.options.admin_port}/drain_listeners?graceful&skip_exit"
        assert httpx.post(drain, headers={"x-rag-drain": "1"}, trust_env=False, timeout=60).text == "OK\n"
        assert httpx.get(f"{drain.partition('/drain')[0]}/ready", trust_env=False, timeout=60).is_success


@pytest.mark.parametrize("name", ["query-blue", "query-green", "query-probes"])
def test_a_headless_service_is_discovered_by_dns(settings_with_keys: Settings, name: str) -> None:
    from ragctl.gateway.bootstrap import bootstrap

    update = {"gateway_blue": "blue.svc:50051", "gateway_green": "green.svc:50051", "gateway_discovery": "dns"}
    options = GatewayOptions.from_settings(settings_with_keys.model_copy(update=update))
    clusters = {item["name"]: item for item in bootstrap(options)["static_resources"]["clusters"]}  # type: ignore[index]
    assert clusters[name]["type"] == "STRICT_DNS" or name == "query-probes"
    assert "svc" in str(clusters[name]["load_assignment"])


def test_replicas_get_ports_of_their_own() -> None:
    assert replica_ports(Settings(replicas=3)) == [(50051, 9464), (50061, 9474), (50071, 9484)]
    assert replica_ports(Settings(replicas=2, replica_ports="7/8,9/10")) == [(50051, 9464), (7, 8)]
    for wrong in ("7", "a/b", "7/8/9"):
        with pytest.raises(ConfigError, match="RAG_REPLICA_PORTS"):
            replica_ports(Settings(replicas=2, replica_ports=wrong))


@pytest.mark.parametrize(
    "update",
    [
        {"gateway_limit_overrides": frozenset({"ann=5"})},
        {"gateway_limit_overrides": frozenset({"a/b=x"})},
        {"gateway_blue": "nowhere"},
        {"gateway_tls_certificate": Path("a.pem")},
    ],
    ids=str,
)
def test_settings_that_make_no_gateway_are_refused(settings_with_keys: Settings, update: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="RAG_GATEWAY"):
        GatewayOptions.from_settings(settings_with_keys.model_copy(update=update))


def test_without_keys_there_is_no_gateway(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        GatewayOptions.from_settings(Settings(home=tmp_path))
    assert caught.value.reason is Reason.SECRET_MISSING
