"""More searches than the query servers can hold: the gateway refuses them, and nothing else. Callers that ask for much
and read nothing or next to nothing of it stop nobody else (CATALOGUE A21)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from pytest_httpserver import HTTPServer

from benchmarks.abuse import frames
from benchmarks.abuse.readers import DEAF, HTTP1, NOT_AT_ALL, SLOWLY, Wanted, read_slowly
from console.clients.metrics import MetricsClient
from console.presenters import traffic
from console.settings import ConsoleSettings
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions, Limits
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import failing
from tests.support.waiting import eventually
from tests.support.wire import Gateway, running_gateway

SEARCH = "/api/v2/search"
RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "rag.rules.yaml"


@pytest.mark.catalogue("F33")
def test_searches_beyond_what_the_servers_hold_are_refused_with_pushback_and_others_pass(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, searches=2) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        stub = v2_grpc.QueryServiceStub(channel)
        request = v2.SearchRequest(query="wing")
        with gateway.peer.holding_searches():
            held = [stub.Search.future(request, timeout=20) for _ in range(2)]
            for _ in held:
                assert gateway.peer.arrived.acquire(timeout=10)

            refused = failing(lambda: stub.Search(request, timeout=20))
            assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert refused.trailers["grpc-retry-pushback-ms"] == "250"

            response = gateway.http.post(SEARCH, json={"query": "wing"})
            assert response.status_code == 429
            assert response.json()["code"] == 8
            assert response.json()["details"][0]["reason"] == "OVERLOADED"
            assert response.headers["retry-after"] == "1"

            assert gateway.http.post("/api/v1/query", json={"query": "wing"}).status_code == 200
            _are_seen_by_operators(gateway, 2)
        assert [len(call.result().generation) for call in held] == [1, 1]
        assert stub.Search(request, timeout=20).generation == "g"


def test_the_limit_follows_the_number_of_servers_without_a_failed_call(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, searches=1) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):

        def calls_until(status: int) -> None:
            seen = 0
            while seen != status:
                assert gateway.http.post("/api/v1/query", json={"query": "wing"}).status_code == 200
                seen = gateway.http.post(SEARCH, json={"query": "wing"}).status_code

        with gateway.peer.holding_searches():
            held = v2_grpc.QueryServiceStub(channel).Search.future(v2.SearchRequest(query="wing"), timeout=20)
            assert gateway.peer.arrived.acquire(timeout=10)
            calls_until(429)
            gateway.peer.hold_no_more()
            changed = write_dynamic(replace(gateway.options, searches=2), tmp_path / "gateway")
            assert changed == ["cds.yaml"]
            calls_until(200)
        assert held.result().generation == "g"


def test_the_gateway_lets_in_what_the_servers_of_the_local_stack_hold(settings_with_keys: Settings) -> None:
    def searches(**update: object) -> int:
        return GatewayOptions.from_settings(settings_with_keys.model_copy(update=update)).searches

    one = settings_with_keys.search_slots + settings_with_keys.max_queued_searches
    assert searches() == one
    assert searches(replicas=3) == 3 * one
    assert searches(replicas=3, gateway_searches=10) == 10
    assert searches(gateway_blue="query.svc:50051") == 0, "how many servers are behind a name is not known"


def _are_seen_by_operators(gateway: Gateway, refused: int) -> None:
    """By the name that Envoy gives to what it counts: the console shows it, the alert is about it."""
    client = MetricsClient(ConsoleSettings(envoy_admin_url=f"http://127.0.0.1:{gateway.options.admin_port}"))
    found = client.gateway()
    client.close()
    assert found is not None
    assert {"limit": traffic.IN_FLIGHT, "passed": None, "refused": refused} in traffic.limit_rows(found)
    assert traffic.OVERFLOW in RULES.read_text("utf-8")


HEAP = 96 * 2**20
PAGE = b"x" * 250_000
UNLIMITED = Limits(per_minute=0, per_hour=0, ip_per_minute=0, pages_per_minute=0)
LARGE = Wanted(frames.SEARCH, frames.message(v2.SearchRequest(query="large").SerializeToString()), headers=frames.GRPC)
LARGE_JSON = Wanted("/api/v2/search", b'{"query": "large"}', headers=(("content-type", "application/json"),))
PAGE_READ = Wanted("/docs/page.md")
ASKED = {
    "a page, no window": (PAGE_READ, NOT_AT_ALL),
    "a page, socket not read": (PAGE_READ, DEAF),
    "a large answer, no window": (LARGE, NOT_AT_ALL),
    "a large answer, a byte a second": (LARGE, SLOWLY),
    "a large answer, HTTP/1": (LARGE_JSON, HTTP1),
}
CALL_SECONDS = 1 / 1000
"""125 MB of large answers a second: more than the query servers of a machine produce. A scripted one produces ten times
as much, and an Envoy that takes that in cannot reset as fast."""
STRANGERS = [f"127.0.0.{66 + number}" for number in range(8)]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with little memory before a scripted query server and a server of pages."""
    with (
        HTTPServer(threaded=True) as pages,
        running(tmp_path_factory.mktemp("readers"), pages, heap_bytes=HEAP) as gateway,
    ):
        yield gateway


@contextmanager
def running(folder: Path, pages: HTTPServer, **changes: object) -> Iterator[Gateway]:
    pages.expect_request("/docs/page.md").respond_with_data(PAGE)
    pages.expect_request("/openapi.json").respond_with_data(b"{}")
    interfaces = Backends((Endpoint(pages.host, pages.port),))
    with running_gateway(folder, interfaces=interfaces, **{"limits": UNLIMITED, **changes}) as gateway:
        large = v2.SearchResponse(passages=[v2.Passage(text="x" * 250_000)], generation="g")
        small = v2.SearchResponse(generation="g")
        gateway.peer.operations["Search"] = lambda request: large if request.query == "large" else small
        yield gateway


@contextmanager
def attack(gateway: Gateway, wanted: Wanted, manner: str, calls: int, sources: list[str]) -> Iterator[None]:
    """Callers that have made so many calls when this is entered, and go on until it is left."""
    over, began = threading.Event(), threading.Event()

    def ask() -> None:
        made = 0
        for count in read_slowly(gateway.address, sources, [wanted], manner, connections=1):
            made += count
            if made >= calls:
                began.set()
            if over.wait(count * CALL_SECONDS):
                return

    attacker = threading.Thread(target=ask)
    attacker.start()
    try:
        assert began.wait(60), "the calls cannot be made"
        yield
    finally:
        over.set()
        attacker.join()


@pytest.mark.catalogue("A21")
@pytest.mark.parametrize(("wanted", "manner"), ASKED.values(), ids=ASKED)
def test_slow_readers_stop_nobody(attacked: Gateway, wanted: Wanted, manner: str) -> None:
    """They ask for more than the memory of the gateway."""
    with (
        attack(attacked, wanted, manner, 3 * HEAP // 2 // len(PAGE), STRANGERS),
        grpc.insecure_channel(attacked.address) as channel,
    ):
        search = v2_grpc.QueryServiceStub(channel).Search
        for _ in range(50):
            assert search(v2.SearchRequest(query="bell"), timeout=60).generation == "g"


@pytest.mark.catalogue("A21")
def test_answers_that_nobody_reads_hold_no_place_of_the_searches(attacked: Gateway) -> None:
    def count(name: str) -> int:
        url = f"http://127.0.0.1:{attacked.options.admin_port}/stats?filter=^{name}$"
        lines = httpx.get(url, trust_env=False, timeout=60).text.splitlines()
        return sum(int(line.rpartition(": ")[2]) for line in lines)

    in_time, over_time = "cluster.query-blue.upstream_rq_active", "http.public.downstream_rq_(max_duration.*|idle.*)"
    before = count(over_time)
    with attack(attacked, LARGE, DEAF, 100, STRANGERS[:1]):
        assert eventually(lambda: count(in_time) == 0)
        assert count(over_time) == before, "the gateway took the answers at once"


@pytest.mark.catalogue("A21")
def test_an_address_reads_so_many_public_pages_a_minute_and_asks_as_often_as_before(tmp_path: Path) -> None:
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=0, pages_per_minute=3)
    with HTTPServer("127.0.0.1") as pages, running(tmp_path, pages, limits=limits) as gateway:
        read = [gateway.http.get(path) for path in ("/docs/page.md", "/openapi.json") * 3]
        assert [page.status_code for page in read] == [200] * 3 + [429] * 3
        assert read[-1].json()["details"][0]["reason"] == "RATE_LIMITED"
        assert int(read[-1].headers["retry-after"]) == 20
        assert gateway.http.post("/api/v2/search", json={"query": "bell"}).status_code == 200


@pytest.mark.catalogue("A21")
def test_a_gateway_whose_memory_is_full_asks_to_wait(tmp_path: Path) -> None:
    with HTTPServer("127.0.0.1") as pages, running(tmp_path, pages, heap_bytes=2**20) as gateway:
        refused = gateway.http.post("/api/v2/search", json={"query": "bell"})
        assert (refused.status_code, refused.json()["details"][0]["reason"]) == (429, "OVERLOADED")
        assert int(refused.headers["retry-after"]) >= 1
