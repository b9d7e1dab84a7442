"""How long a Qdrant server may work for a caller travels with each read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from qdrant_client import grpc as api
from qdrant_client import models

from query_server.handlers.query.searcher import LocalSearcher
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.calls import CallState, enter_call
from query_server.runtime.metrics import Metrics
from rag_core.errors import DeadlineExceeded, Reason
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.nodes import Node, Nodes, connected, whole_seconds
from rag_core.retrieval.engines.qdrant.reader import QdrantReader
from rag_core.retrieval.index import SearchMode
from tests.support.index_points import SPEC, document, request
from tests.support.qdrant_server import Door, StandIn

READS = {"query_batch_points", "query_points", "retrieve", "scroll", "count"}


@pytest.fixture
def door() -> Door:
    return Door(StandIn())


@pytest.fixture
def index(door: Door) -> QdrantIndex:
    """With two documents, promoted, and every answer about collections known."""
    made = QdrantIndex([Node(cast("Any", door))], timeout=60)
    made.create(SPEC)
    made.apply("g1", [document("a", ["a pump"]), document("b", ["a pump and a valve"])])
    made.promote("g1")
    made.search(request("pump", generation="g1"))
    door.calls.clear()
    return made


def timeouts(door: Door) -> set[Any]:
    return {options.get("timeout") for name, options in door.calls if name in READS}


@pytest.mark.parametrize("mode", SearchMode)
def test_every_read_of_a_search_has_the_time_that_its_caller_has_left(
    index: QdrantIndex, door: Door, mode: SearchMode
) -> None:
    asked = request("pump", mode=mode, generation="g1", with_vectors=True)
    index.search(replace(asked, deadline=time.monotonic() + 9.5))
    assert timeouts(door) <= set(range(1, 11))
    assert set(door.asked) <= READS


def test_reads_of_nobody_in_particular_have_the_time_of_the_setting(index: QdrantIndex, door: Door) -> None:
    index.search(request("pump"))
    index.count("g1")
    index.fetch("g1", [point.chunk_id for page in index.scroll("g1") for point in page])
    index.apply("g1", [document("a", ["a pump"], version=2)])
    assert timeouts(door) == {60}


def test_a_caller_who_is_gone_costs_the_server_nothing(index: QdrantIndex, door: Door) -> None:
    with pytest.raises(DeadlineExceeded) as ended:
        index.search(replace(request("pump", generation="g1"), deadline=time.monotonic() - 1))
    assert ended.value.reason is Reason.DEADLINE
    assert door.calls == []


def test_fractions_of_a_second_count_as_a_second() -> None:
    assert whole_seconds(60, time.monotonic() + 0.2) == 1
    assert whole_seconds(0.5, None) == 1
    assert whole_seconds(60, float("inf")) == 60


async def test_the_deadline_of_the_rpc_is_that_of_its_search(index: QdrantIndex, door: Door) -> None:
    enter_call(CallState("Search", cast("Any", None), deadline=time.monotonic() + 4.5))
    pool = BlockingPool(1, name="search")
    searcher = LocalSearcher(index, pool, Metrics())
    assert (await searcher.search(request("pump", generation="g1"))).hits
    assert timeouts(door) <= {1, 2, 3, 4, 5}
    pool.close()


class _Counting(api.PointsServicer):
    def __init__(self) -> None:
        self.allowed: list[tuple[int, float]] = []

    def Count(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.allowed.append((request.timeout, context.time_remaining()))
        return api.CountResponse(result=api.CountResult(count=7))


@pytest.fixture
def counting() -> Iterator[tuple[_Counting, int]]:
    servicer, server = _Counting(), grpc.server(ThreadPoolExecutor(1))
    api.add_PointsServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(None).wait()


def test_over_a_real_socket_both_the_server_and_the_call_know_the_time(counting: tuple[_Counting, int]) -> None:
    servicer, port = counting
    nodes = Nodes(connected(f"http://127.0.0.1:{port}", None, 600, {}), retry=0, local=False)
    assert QdrantReader(nodes.call, "c", has_idf_samples=False, timeout=lambda: 20).count(models.Filter()) == 7
    nodes.close()
    ((sent, left),) = servicer.allowed
    assert sent == 20
    assert left <= 21  # gRPC rounds a timeout up on its way
