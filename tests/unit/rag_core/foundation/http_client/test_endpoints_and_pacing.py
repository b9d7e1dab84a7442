"""Configured endpoints, and how often a host is asked."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from pytest_httpserver import HTTPServer

from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import Again, Pacing, check_state, endpoint_client, retry_after
from tests.unit.rag_core.foundation.http_client.conftest import Open

ROOT = Path(__file__).resolve().parents[5]


async def test_a_configured_endpoint_on_loopback_is_reached_on_any_port(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/models").respond_with_json([])
    async with endpoint_client(httpserver.url_for("/v1"), use=None) as client:
        assert (await client.get("models")).status_code == 200


@pytest.mark.catalogue("S23")
async def test_a_configured_endpoint_opens_no_other_origin(httpserver: HTTPServer, free_tcp_port: int) -> None:
    async with endpoint_client(httpserver.url_for("/v1"), use=None) as client:
        for url in (f"http://127.0.0.1:{free_tcp_port}/", "http://10.0.0.1/", "ftp://127.0.0.1/"):
            with pytest.raises(InvalidInput):
                await client.get(url)


@pytest.mark.parametrize("addresses", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]])
async def test_the_next_address_is_tried_when_one_does_not_answer(
    httpserver: HTTPServer, open_fetcher: Open, addresses: list[str]
) -> None:
    httpserver.expect_request("/x").respond_with_data("here")
    url = f"http://two.test:{httpserver.port}/"
    assert open_fetcher(resolver=lambda _host, _port: addresses).get(f"{url}x").content == b"here"
    async with endpoint_client(url, resolver=lambda _host, _port: addresses, use=None) as client:
        assert (await client.get("x")).text == "here"


async def test_a_host_none_of_whose_addresses_answers_is_unreachable(open_fetcher: Open, free_tcp_port: int) -> None:
    def resolver(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "127.0.0.2"]

    url = f"http://two.test:{free_tcp_port}/"
    with pytest.raises(Unavailable) as caught:
        open_fetcher(resolver=resolver).get(url)
    assert caught.value.reason is Reason.HOST_UNREACHABLE
    async with endpoint_client(url, resolver=resolver, use=None) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("x")


@pytest.mark.catalogue("S23")
@pytest.mark.parametrize("url", ["http://169.254.169.254/v1", "http://[fd00:ec2::254]:8000/v1", "http://0.0.0.0/v1"])
async def test_a_configured_endpoint_is_never_a_metadata_address(url: str) -> None:
    async with endpoint_client(url, use=None) as client:
        with pytest.raises(InvalidInput) as caught:
            await client.get("models")
    assert caught.value.reason is Reason.SSRF_BLOCKED


@pytest.mark.catalogue("S23")
async def test_proxies_of_the_environment_are_not_used(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    httpserver.expect_request("/x").respond_with_data("direct")
    async with endpoint_client(httpserver.url_for("/"), use=None) as client:
        assert (await client.get("x")).text == "direct"


@pytest.mark.catalogue("S23")
def test_nothing_calls_a_host_outside_without_the_guard() -> None:
    """Clients of the stack's own parts and of addresses that only an operator sets are listed; everything else goes
    through `rag_core.http_client`."""
    own = {
        "rag_core/http_client/network.py",
        "ragctl/dagster.py",
        "ragctl/rollout/metrics.py",  # the servers that a deployment judges
        "ragctl/local_stack/probes.py",
        "ragctl/local_stack/supervisor.py",  # a Unix socket
        "ragctl/local_stack/lifecycle.py",
        "ragctl/container/health.py",  # the container's own part, and what an operator names in Compose
        "console/clients/http.py",
        "rag_core/ingestion/alerts/delivery.py",
        "rag_core/governance/access/key_source.py",
    }
    calls = re.compile(
        r"\b(?:httpx|requests)\.(?:Client|AsyncClient|HTTPTransport|AsyncHTTPTransport|get|post|request|stream)\("
        r"|^\s*(?:import|from) (?:requests|urllib\.request|http\.client)\b",
        re.MULTILINE,
    )
    packages = ("rag_core", "rag_assets", "rag_tracing", "query_server", "interfaces", "console", "ragctl")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if calls.search(path.read_text("utf-8"))}
    assert found == own


def failing(times: int, after: float | None = None) -> tuple[list[float], object]:
    calls: list[float] = []

    def attempt() -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise Again(Unavailable(Reason.RATE_LIMITED, "busy"), after)
        return "done"

    return calls, attempt


@pytest.mark.catalogue("F46")
def test_a_host_that_asks_to_wait_is_asked_again_after_that_time() -> None:
    calls, attempt = failing(1, after=0.2)
    assert Pacing(per_second=1000).run(attempt) == "done"  # type: ignore[arg-type]
    assert calls[1] - calls[0] >= 0.2


@pytest.mark.catalogue("F46")
def test_a_host_that_asks_to_wait_too_long_is_an_error_at_once() -> None:
    calls, attempt = failing(1, after=3600)
    with pytest.raises(RagError) as caught:
        Pacing(per_second=1000).run(attempt)  # type: ignore[arg-type]
    assert (caught.value.reason, len(calls)) == (Reason.RATE_LIMITED, 1)


@pytest.mark.catalogue("F46")
def test_attempts_are_bounded() -> None:
    calls, attempt = failing(99, after=0)
    with pytest.raises(Unavailable):
        Pacing(per_second=1000, attempts=3).run(attempt)  # type: ignore[arg-type]
    assert len(calls) == 3


def test_starts_are_spread_over_time() -> None:
    pacing = Pacing(per_second=20)
    started = time.monotonic()
    for _ in range(5):
        pacing.wait()
    assert time.monotonic() - started >= 4 / 20


@pytest.mark.parametrize("status", [429, 500, 503])
def test_states_that_pass_are_tried_again(status: int) -> None:
    with pytest.raises(Again):
        check_state(status, {"retry-after": "2"}, "the list")
    check_state(404, {}, "the list")


def test_both_forms_of_retry_after_are_read() -> None:
    assert retry_after("7") == 7
    assert retry_after(None) is None
    assert retry_after("soon") is None
    assert retry_after("-5") == 0
    assert retry_after("inf") is None
    later = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    assert later is not None
    assert 80 < later <= 90
