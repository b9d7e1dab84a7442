"""Pages of a process over HTTP: what they say, and that no client keeps them from another."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Gauge

from rag_core.browser_guard import BrowserGuard
from rag_core.errors import Conflict
from rag_core.status_pages import StatusPages

HOST = "127.0.0.1"


@pytest.fixture
def pages() -> Iterator[StatusPages]:
    registry = CollectorRegistry()
    Gauge("rag_test", "A gauge.", registry=registry).set(4)
    made = StatusPages(
        HOST,
        0,
        "RAG_TEST_PORT",
        registry,
        {"/health": lambda: (True, {"a": 1}), "/ready": lambda: (False, {"why": "x"})},
        BrowserGuard(hosts=frozenset({"stream"})),
    )
    made.start()
    yield made
    made.close()


def get(pages: StatusPages, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://{HOST}:{pages.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own address
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_page_says_whether_all_is_well_by_its_status(pages: StatusPages) -> None:
    status, body = get(pages, "/health")
    assert (status, json.loads(body)) == (200, {"a": 1})
    status, body = get(pages, "/ready")
    assert (status, json.loads(body)) == (503, {"why": "x"})
    assert "rag_test 4.0" in get(pages, "/metrics")[1]


def test_other_requests_are_refused_with_the_pages_that_there_are(pages: StatusPages) -> None:
    status, body = get(pages, "/")
    assert (status, json.loads(body)) == (404, {"error": "try /metrics, /health, /ready"})
    assert get(pages, "/health", "POST")[0] == 405


def test_a_client_that_sends_nothing_keeps_no_other_waiting(pages: StatusPages) -> None:
    with socket.create_connection((HOST, pages.port)):
        assert get(pages, "/health")[0] == 200


def test_a_taken_port_is_refused_by_the_name_of_its_setting(pages: StatusPages) -> None:
    with pytest.raises(Conflict, match="RAG_OTHER_PORT"):
        StatusPages(HOST, pages.port, "RAG_OTHER_PORT", CollectorRegistry(), {}, BrowserGuard())


@pytest.mark.catalogue("A22")
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:9464", "a@localhost", ""]
)
def test_a_page_of_a_name_that_leads_here_reads_no_metrics_and_no_details(pages: StatusPages, host: str) -> None:
    assert ask(pages, "/metrics", host)[0] == 403
    for path, status in (("/health", 200), ("/ready", 503)):  # a load balancer may use any name
        answer = ask(pages, path, host)
        assert (answer[0], json.loads(answer[1])["reason"]) == (status, "HOST_REFUSED")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3:9464", "[::1]:9464", "localhost", "LOCALHOST:9464", "stream"])
def test_addresses_and_configured_names_read_everything(pages: StatusPages, host: str) -> None:
    assert "rag_test 4.0" in ask(pages, "/metrics", host)[1]
    assert json.loads(ask(pages, "/health", host)[1]) == {"a": 1}


def ask(pages: StatusPages, path: str, host: str) -> tuple[int, str]:
    with closing(HTTPConnection(HOST, pages.port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
