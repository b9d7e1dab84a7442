"""Deadlines, cancellation, overload and a hung index (CATALOGUE B14, B15, B21, F31-F35)."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from query_server.servicers.index import THREADS
from rag_core.answering import (
    Abstained,
    Abstention,
    Answered,
    AnswerEvent,
    Citation,
    Delta,
    Excerpt,
    Outcome,
    Question,
)
from rag_core.errors import Reason, Unavailable
from rag_core.governance.usage import Owner
from rag_core.retrieval.engines.remote import wire
from rag_core.retrieval.index import SearchRequest, SearchResult, VectorIndex
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc, index_pb2, index_pb2_grpc
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.admin.v1 import operations_pb2_grpc as ops_rpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import GENERATION, INDEX_SECRET, Doc, Failure, RunningServer, failing, running
from tests.support.waiting import eventually

DOCS = [Doc("The bell rings at nine.")]
SEARCH = v2.SearchRequest(query="bell")


class HangingIndex:
    """The real index, whose searches wait for the test."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.left = threading.Semaphore(0)
        self.searches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def search(self, request: SearchRequest) -> SearchResult:
        self.searches += 1
        self.entered.release()
        try:
            assert self.release.wait(30)
            return self._index.search(request)
        finally:
            self.left.release()


@pytest.fixture
def hung(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[RunningServer, HangingIndex]]:
    with running(tmp_path, docs=DOCS, wrap=HangingIndex, **getattr(request, "param", {})) as server:
        index = server.index
        assert isinstance(index, HangingIndex)
        try:
            yield server, index
        finally:
            index.release.set()
            assert all(index.left.acquire(timeout=30) for _ in range(index.searches))
    index.close()  # the server leaves an index open that has not come back when it stops


def search(server: RunningServer, timeout: float | None = None) -> v2.SearchResponse:
    return v2_grpc.QueryServiceStub(server.channel).Search(SEARCH, metadata=server.auth(), timeout=timeout)


def answer_v2(server: RunningServer, timeout: float) -> None:
    request = v2.AnswerRequest(query=SEARCH.query, mode=SEARCH.mode)
    list(v2_grpc.QueryServiceStub(server.channel).Answer(request, metadata=server.auth(), timeout=timeout))


def search_generation(server: RunningServer, timeout: float) -> None:
    request = ops.SearchGenerationRequest(generation=GENERATION, search=SEARCH)
    stub = ops_rpc.OperationsServiceStub(server.channel)
    stub.SearchGeneration(request, metadata=server.auth(scopes=["ops.read"]), timeout=timeout)


def timed_failure(server: RunningServer, timeout: float | None) -> tuple[Failure, float]:
    started = time.monotonic()
    failure = failing(lambda: search(server, timeout))
    return failure, time.monotonic() - started


def test_a_batch_that_its_caller_cancels_counts_as_all_its_searches(hung: tuple[RunningServer, HangingIndex]) -> None:
    server, index = hung
    stub, batch = v2_grpc.QueryServiceStub(server.channel), v2.BatchSearchRequest(searches=[SEARCH] * 16)
    call = stub.BatchSearch.future(batch, metadata=server.auth(), timeout=60)
    assert index.entered.acquire(timeout=30)
    assert call.cancel()
    assert eventually(lambda: server.server.usage.meter.used(Owner("acme")).calls > 1)
    assert server.server.usage.meter.used(Owner("acme")).calls == 16


def test_a_tenant_whose_answers_are_large_is_refused_until_they_are_paid_off_and_nobody_else(tmp_path: Path) -> None:
    docs = [Doc("bell " * 60_000), Doc("The bell rings at nine.", tenant="globex")]
    with running(tmp_path, docs=docs, max_tenant_answer_bytes=65_536) as server:
        assert len(search(server).passages[0].text) == 300_000
        failure = failing(lambda: search(server))
        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert "0.0655 MB a second" in failure.message
        other = server.auth(tenant="globex")
        assert v2_grpc.QueryServiceStub(server.channel).Search(SEARCH, metadata=other).passages


@pytest.mark.catalogue("B14")
@pytest.mark.parametrize("hung", [{"default_deadline_seconds": 0.3}], indirect=True)
def test_a_call_without_a_deadline_gets_the_default(hung: tuple[RunningServer, HangingIndex]) -> None:
    failure, seconds = timed_failure(hung[0], None)
    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")
    assert 0.3 <= seconds < 3


@pytest.mark.parametrize("hung", [{"default_deadline_seconds": 0.3}], indirect=True)
@pytest.mark.parametrize("ask", [search, answer_v2, search_generation], ids=lambda ask: ask.__name__)
def test_nothing_that_searches_waits_for_a_frozen_index_as_long_as_the_gateway_allows(
    hung: tuple[RunningServer, HangingIndex], ask: Callable[[RunningServer, float], object]
) -> None:
    failure = failing(lambda: ask(hung[0], 25))
    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")
    assert failure.message == "the index did not answer within 0.3 seconds; retry later"


@pytest.mark.catalogue("B14")
@pytest.mark.parametrize("hung", [{"default_deadline_seconds": 0.2, "max_deadline_seconds": 0.3}], indirect=True)
def test_a_longer_deadline_is_capped(hung: tuple[RunningServer, HangingIndex]) -> None:
    failure, seconds = timed_failure(hung[0], 20)
    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")
    assert seconds < 3


@pytest.mark.catalogue("B15")
@pytest.mark.parametrize("timeout", [0, 0.0005])
def test_a_deadline_that_has_passed_leaves_the_index_alone(
    hung: tuple[RunningServer, HangingIndex], timeout: float
) -> None:
    server, index = hung
    assert timed_failure(server, timeout)[0].code is grpc.StatusCode.DEADLINE_EXCEEDED
    index.release.set()
    search(server)
    assert index.searches == 1


@pytest.mark.catalogue("F35")
@pytest.mark.parametrize("hung", [{"search_threads": 2}], indirect=True)
def test_a_hung_index_ends_every_call_by_its_deadline_and_opens_the_breaker(
    hung: tuple[RunningServer, HangingIndex],
) -> None:
    server, index = hung
    with ThreadPoolExecutor(6) as clients:
        failures = list(clients.map(lambda _: timed_failure(server, 0.5), range(6)))
    assert {failure.code for failure, _ in failures} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert max(seconds for _, seconds in failures) < 3
    failure, seconds = timed_failure(server, 20)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "INDEX_UNAVAILABLE")
    assert seconds < 3
    health = health_pb2_grpc.HealthStub(server.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    index.release.set()
    assert eventually(lambda: search(server).passages)


def test_a_hung_index_does_not_hold_the_loop(hung: tuple[RunningServer, HangingIndex]) -> None:
    server, index = hung
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(search, server, 20)
        assert index.entered.acquire(timeout=10)
        health = health_pb2_grpc.HealthStub(server.channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status
        index.release.set()
        assert waiting.result(20).passages


@pytest.mark.catalogue("F33")
@pytest.mark.parametrize(
    "hung",
    [{"max_concurrent_searches": 2, "max_queued_searches": 1, "search_threads": 2, "max_tenant_share": 1}],
    indirect=True,
)
def test_the_excess_is_refused_at_once_with_pushback_and_admin_is_exempt(
    hung: tuple[RunningServer, HangingIndex],
) -> None:
    server, index = hung
    with ThreadPoolExecutor(3) as clients:
        waiting = [clients.submit(search, server, 20) for _ in range(3)]
        assert all(index.entered.acquire(timeout=10) for _ in range(2))
        assert eventually(lambda: gauge(server, "rag_server_gate_waiting") == 1)
        failure, seconds = timed_failure(server, 20)
        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert int(failure.trailers["grpc-retry-pushback-ms"]) > 0
        assert seconds < 2
        admin = admin_pb2_grpc.AdminServiceStub(server.channel)
        assert admin.GetStatus(admin_pb2.GetStatusRequest(), metadata=server.auth(scopes=["admin"])).components
        index.release.set()
        assert all(call.result(20).passages for call in waiting)


@pytest.mark.parametrize("hung", [{"max_concurrent_searches": 4, "max_queued_searches": 0}], indirect=True)
def test_a_tenant_that_fills_its_share_leaves_places_for_others(hung: tuple[RunningServer, HangingIndex]) -> None:
    server, index = hung
    stub = v2_grpc.QueryServiceStub(server.channel)
    flood = [stub.Search.future(SEARCH, metadata=server.auth(tenant="flood"), timeout=20) for _ in range(3)]
    assert all(index.entered.acquire(timeout=10) for _ in flood)
    refused = failing(lambda: stub.Search(SEARCH, metadata=server.auth(tenant="flood"), timeout=20))
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    other = stub.Search.future(SEARCH, metadata=server.auth(), timeout=20)
    assert index.entered.acquire(timeout=10)
    index.release.set()
    assert other.result().passages
    assert all(call.result() is not None for call in flood)


def gauge(server: RunningServer, name: str, **labels: str) -> float | None:
    wanted = labels or {"gate": "search"}
    return server.server.metrics.registry.get_sample_value(name, wanted)


@pytest.mark.catalogue("F34")
@pytest.mark.parametrize("hung", [{"max_concurrent_searches": 1, "max_queued_searches": 0}], indirect=True)
def test_a_client_that_leaves_frees_its_slot(hung: tuple[RunningServer, HangingIndex]) -> None:
    server, index = hung
    call = v2_grpc.QueryServiceStub(server.channel).Search.future(SEARCH, metadata=server.auth(), timeout=20)
    assert index.entered.acquire(timeout=10)
    call.cancel()
    assert eventually(lambda: gauge(server, "rag_server_gate_active") == 0)
    labels = {"method": "/ragproto.query.v2.QueryService/Search", "code": "CANCELLED", "reason": "CANCELLED"}
    assert eventually(lambda: gauge(server, "rag_server_requests_total", **labels) == 1)
    index.release.set()
    assert search(server).passages


@pytest.mark.catalogue("F34")
def test_a_search_that_waits_in_the_index_process_is_never_run_once_its_caller_left(
    hung: tuple[RunningServer, HangingIndex],
) -> None:
    server, index = hung
    method = "/ragproto.admin.v1.IndexService/SearchIndex"
    message = index_pb2.SearchIndexRequest(tenant="acme", acl=["everyone"], limit=3, mode="lexical", text="bell")
    metadata = ((wire.SECRET_KEY, INDEX_SECRET),)
    with grpc.insecure_channel(server.index_target) as channel:
        stub = index_pb2_grpc.IndexServiceStub(channel)
        running_now = [stub.SearchIndex.future(message, metadata=metadata, timeout=60) for _ in range(THREADS)]
        assert all(index.entered.acquire(timeout=20) for _ in running_now)
        late = stub.SearchIndex.future(message, metadata=metadata, timeout=60)
        assert eventually(lambda: gauge(server, "rag_server_in_flight", method=method) == THREADS + 1)
        late.cancel()
        assert eventually(lambda: gauge(server, "rag_server_in_flight", method=method) == THREADS)
        index.release.set()
        assert all(call.result(20).hits for call in running_now)
        assert stub.SearchIndex(message, metadata=metadata, timeout=20).hits  # its turn comes after that of `late`
    assert index.searches == THREADS + 1


@pytest.mark.catalogue("B21")
def test_a_client_stream_that_closes_at_once_ends_cleanly(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS) as server:
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        assert list(stub.ServerReflectionInfo(iter([]))) == []
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        names = [s.name for r in stub.ServerReflectionInfo(iter([request])) for s in r.list_services_response.service]
        assert "ragproto.query.v2.QueryService" in names
        assert "ragproto.admin.v1.IndexService" not in names
        failure = failing(lambda: list(stub.ServerReflectionInfo(iter([request] * 20_000))))
        assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "STREAM_LIMIT" in failure.message


# --- answers ---------------------------------------------------------------------------------------------------


class ScriptedAnswerer:
    """Plays events; an exception among them is raised, `...` waits for the test."""

    def __init__(self, *script: Any) -> None:
        self._script = script
        self.left = threading.Event()

    async def answer(self, question: Question) -> AsyncIterator[AnswerEvent]:
        try:
            for step in self._script:
                if isinstance(step, Exception):
                    raise step
                if step is ...:
                    await asyncio.Event().wait()
                yield step
        finally:
            self.left.set()

    async def close(self) -> None:
        return


def answer(server: RunningServer, timeout: float = 10) -> Any:
    request = v2.AnswerRequest(query="when does the bell ring?")
    return v2_grpc.QueryServiceStub(server.channel).Answer(request, metadata=server.auth(), timeout=timeout)


DOWN = Unavailable(Reason.ANSWERER_UNAVAILABLE, "the answer model is down")


def test_an_answer_that_fails_before_its_first_word_fails_as_a_status(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, dependencies={"answerer": ScriptedAnswerer(DOWN)}) as server:
        failure = failing(lambda: list(answer(server)))
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "ANSWERER_UNAVAILABLE")


@pytest.mark.parametrize(
    ("script", "reason"), [((Delta("a"), DOWN), "ANSWERER_UNAVAILABLE"), ((Delta("a"), ...), "DEADLINE")]
)
def test_an_answer_that_breaks_off_ends_with_a_final_that_says_so(
    tmp_path: Path, script: tuple[Any, ...], reason: str
) -> None:
    with running(tmp_path, docs=DOCS, dependencies={"answerer": ScriptedAnswerer(*script)}) as server:
        events = list(answer(server, timeout=5))
    assert [event.WhichOneof("event") for event in events] == ["delta", "final"]
    assert events[-1].final.failed.reason == reason


def test_a_bug_after_the_first_word_still_gives_a_final_and_shows_nothing(tmp_path: Path) -> None:
    scripted = ScriptedAnswerer(Delta("a"), ValueError("secret detail"))
    events: list[v2.AnswerEvent] = []
    with running(tmp_path, docs=DOCS, dependencies={"answerer": scripted}) as server:
        failure = failing(lambda: events.extend(answer(server)))
    assert events[-1].final.failed.reason == "INTERNAL"
    assert failure.code is grpc.StatusCode.INTERNAL
    assert "secret" not in f"{failure}{events}"


@pytest.mark.catalogue("F34")
def test_a_client_that_leaves_an_answer_stops_the_answerer(tmp_path: Path) -> None:
    scripted = ScriptedAnswerer(Delta("a"), ...)
    with running(tmp_path, docs=DOCS, dependencies={"answerer": scripted}) as server:
        stream = answer(server)
        next(stream)
        stream.cancel()
        assert scripted.left.wait(20)


@pytest.mark.parametrize("outcome", [Abstained(Abstention.NOT_SUPPORTED), Abstained(Abstention.NO_RESULTS)])
def test_abstention_is_the_same_in_v1_and_v2(tmp_path: Path, outcome: Abstained) -> None:
    with running(tmp_path, docs=DOCS, dependencies={"answerer": ScriptedAnswerer(outcome)}) as server:
        events = list(answer(server))
        whole = v1_grpc.QueryServiceStub(server.channel).Query(v1.QueryRequest(query="bell"), metadata=server.auth())
    assert [event.final.abstained.reason for event in events] == [outcome.reason]
    assert (whole.abstained, whole.answer) == (True, "")


CLOSEST = Answered(
    (Citation(1, 0, 4, 8, "bell"),),
    outcome=Outcome.CLOSEST_PASSAGES,
    markdown="**Bells**\n\nrow[0], bell [1]",
    excerpts=(Excerpt("Bells", "doc.txt", ("Bells", "Times"), 4, "row[0], `bell` [1]", "row[0], bell [1]", (1,)),),
    read_as="when does the bell ring?",
)


def test_closest_passages_are_an_abstention_to_clients_that_do_not_know_them(tmp_path: Path) -> None:
    scripted = ScriptedAnswerer(Delta("row[0], bell [1]"), CLOSEST)
    with running(tmp_path, docs=DOCS, dependencies={"answerer": scripted}) as server:
        final = list(answer(server))[-1].final
        whole = v1_grpc.QueryServiceStub(server.channel).Query(v1.QueryRequest(query="bell"), metadata=server.auth())
        shown = httpx.get(f"http://127.0.0.1:{server.ports.metrics}/metrics", trust_env=False, timeout=60).text
    assert final.WhichOneof("outcome") == "abstained"
    assert final.answer_outcome == v2.ANSWER_OUTCOME_CLOSEST_PASSAGES
    assert [(item.number, item.quote) for item in final.abstained.citations] == [(1, "bell")]
    assert (final.answer_markdown, final.read_as) == (CLOSEST.markdown, CLOSEST.read_as)
    [excerpt] = final.excerpts
    assert (excerpt.heading_path, excerpt.page, excerpt.citations) == (["Bells", "Times"], 4, [1])
    assert (excerpt.markdown, excerpt.text) == ("row[0], `bell` [1]", "row[0], bell [1]")
    assert (whole.abstained, whole.abstention, whole.answer) == (True, "NOT_SUPPORTED", "row[0], bell [1]")
    assert 'rag_server_answers_total{outcome="closest_passages"} 2.0' in shown


def test_an_answer_says_how_sure_it_is(tmp_path: Path) -> None:
    sure = dataclasses.replace(CLOSEST, outcome=Outcome.ANSWERED)
    for outcome, expected in ((sure, "answered"), (Abstained(Abstention.NO_RESULTS), "abstained")):
        with running(tmp_path / expected, docs=DOCS, dependencies={"answerer": ScriptedAnswerer(outcome)}) as server:
            final = list(answer(server))[-1].final
        assert final.WhichOneof("outcome") == expected
        known = v2.ANSWER_OUTCOME_ANSWERED if expected == "answered" else v2.ANSWER_OUTCOME_NOT_FOUND
        assert final.answer_outcome == known


def test_answers_never_take_the_place_of_searches(tmp_path: Path) -> None:
    scripted = ScriptedAnswerer(Delta("a"), ...)
    limits = {"max_concurrent_answers": 1, "max_queued_answers": 0, "max_concurrent_searches": 1}
    with running(tmp_path, docs=DOCS, dependencies={"answerer": scripted}, **limits) as server:
        stream = answer(server)
        next(stream)
        assert failing(lambda: list(answer(server))).reason == "OVERLOADED"
        assert search(server).passages
        stream.cancel()


# --- drain -----------------------------------------------------------------------------------------------------


async def hammer(target: str, metadata: Any, stop: asyncio.Event) -> tuple[int, list[grpc.aio.AioRpcError]]:
    """Search without pause until told to stop; a call refused because of the shutdown is what a balancer retries."""
    done, failed = 0, []
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(target))
        stub = v2_grpc.QueryServiceStub(channel)
        health = health_pb2_grpc.HealthStub(channel)
        while not stop.is_set():
            status = await health.Check(health_pb2.HealthCheckRequest(service="ragproto.query.v2.QueryService"))
            if status.status != health_pb2.HealthCheckResponse.SERVING:
                break
            try:
                await stub.Search(SEARCH, metadata=metadata, timeout=10)
                done += 1
            except grpc.aio.AioRpcError as error:
                failed.append(error)
    return done, failed


@pytest.mark.catalogue("F31")
async def test_a_drain_fails_no_call_and_answers_not_serving_first(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, drain_seconds=0.5) as server:
        stop = asyncio.Event()
        clients = [asyncio.create_task(hammer(server.target, server.auth(), stop)) for _ in range(4)]
        assert await asyncio.to_thread(eventually, lambda: served(server) > 20)
        await asyncio.to_thread(server.run, server.server.drain())
        stop.set()
        results = await asyncio.gather(*clients)
    assert sum(done for done, _ in results) > 20
    assert [error for _, failed in results for error in failed] == []


def served(server: RunningServer) -> float:
    labels = {"method": "/ragproto.query.v2.QueryService/Search", "code": "OK", "reason": ""}
    return server.server.metrics.registry.get_sample_value("rag_server_requests_total", labels) or 0


@pytest.mark.catalogue("F31")
async def test_a_call_in_flight_finishes_within_the_grace(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, wrap=HangingIndex) as server:
        index = server.index
        assert isinstance(index, HangingIndex)
        async with grpc.aio.insecure_channel(server.target) as channel:
            call = v2_grpc.QueryServiceStub(channel).Search(SEARCH, metadata=server.auth(), timeout=20)
            waiting = asyncio.ensure_future(call)
            assert await asyncio.to_thread(index.entered.acquire, timeout=10)
            draining = asyncio.to_thread(server.run, server.server.drain())
            drain = asyncio.ensure_future(draining)
            index.release.set()
            assert (await waiting).passages
            await drain
