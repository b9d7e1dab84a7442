"""The platform's own parts are refused by host and port after resolution, whatever networks are allowed."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from rag_core.errors import RagError, Reason
from rag_core.http_client import Fetcher, FetchPolicy
from rag_core.settings import Settings

OPEN = {"fetch_allow_networks": "0.0.0.0/0,::/0", "fetch_ports": "1-65535"}


def reason_of(url: str, resolver: Any = None, **settings: Any) -> Reason | None:
    """Why a source of such an installation may not call a URL; `None` when it is called."""
    policy = FetchPolicy.from_settings(Settings(home=Path("/nonexistent"), **OPEN, **settings))
    with Fetcher(policy, **({"resolver": resolver} if resolver else {})) as fetcher:
        try:
            fetcher.get(url)
        except RagError as error:
            return error.reason
    return None


def own_address() -> str:
    """An address of this machine that is not loopback, when it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.catalogue("A25")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "LOCALHOST.", "127.9.9.9", "[::1]",
             "[::ffff:127.0.0.1]", own_address()],
)  # fmt: skip
def test_a_port_of_the_stack_is_refused_in_every_spelling_of_this_machine(httpserver: HTTPServer, host: str) -> None:
    httpserver.expect_request("/").respond_with_data("inside")
    assert reason_of(f"http://{host}:{httpserver.port}/", dagster_port=httpserver.port) is Reason.SSRF_BLOCKED
    assert not httpserver.log
    if host == "127.0.0.1":
        assert reason_of(f"http://{host}:{httpserver.port}/") is None, "another port of this machine is nobody's"


@pytest.mark.catalogue("A25")
@pytest.mark.parametrize("setting", [
    {"envoy_admin_port": 7001}, {"index_port": 7001}, {"postgres_port": 7001}, {"replica_ports": "7001/7002"},
    {"green_ports": "7000/7001"}, {"query_port": 6991, "replicas": 2}, {"query_port": 6901},
    {"database_url": "postgresql://rag@localhost:7001/rag"}, {"redis_url": "redis://:pw@127.0.0.1:7001/0"},
    {"database_url": "postgresql://rag@/rag?host=db.invalid,127.0.0.1&port=1,7001"},
    {"qdrant_url": "http://a.invalid:6334,http://localhost:7001"}, {"prometheus_url": "http://127.0.0.1:7001"},
    {"index_endpoint": "127.0.0.1:7001"}, {"gateway_blue": "127.0.0.1:7001"}, {"own_hosts": "x.invalid,127.0.0.1:7001"},
    {"own_hosts": "localhost"},
])  # fmt: skip
def test_every_part_that_the_settings_name_is_refused(setting: dict[str, Any]) -> None:
    assert reason_of("http://127.0.0.1:7001/", **setting) is Reason.SSRF_BLOCKED


@pytest.mark.catalogue("A25")
def test_another_name_of_an_own_part_is_refused_and_its_own_name_even_when_it_does_not_resolve() -> None:
    settings = {"own_hosts": "dagster-webserver:3000"}
    assert reason_of("http://alias.example:7001/", lambda *_: ["127.0.0.1"], index_port=7001) is Reason.HOST_UNREACHABLE
    for host in ("dagster-webserver", "Dagster-Webserver."):
        url = f"http://{host}:3000/"
        assert reason_of(url, lambda *_: ["192.0.2.7"], **settings) is Reason.HOST_UNREACHABLE


def test_a_name_without_an_address_and_one_of_a_private_address_are_one_error() -> None:
    """Who may name hosts would learn otherwise which names there are inside."""

    def unknown(*_: object) -> list[str]:
        raise socket.gaierror(-2, "unknown")

    def message(resolver: Any) -> tuple[type[RagError], str]:
        with Fetcher(FetchPolicy(), resolver=resolver) as fetcher, pytest.raises(RagError) as caught:
            fetcher.get("https://wiki.corp.example/")
        return type(caught.value), str(caught.value)

    found = {message(resolver) for resolver in (unknown, lambda *_: [], lambda *_: ["10.0.0.7"], lambda *_: ["::1"])}
    assert len(found) == 1
    ((_, said),) = found
    assert said.startswith("HOST_UNREACHABLE: wiki.corp.example has no address")
