"""What travels with a search to the process that owns the index: the caller's deadline and its request id. The breaker
opens after calls without an answer in a row, tries one at a time, and closes at an answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from typing import Any

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry, Gauge

from query_server.handlers.query.searcher import RemoteSearcher
from query_server.runtime.breaker import COOLDOWN_SECONDS, WAITED_SECONDS, Breaker
from query_server.runtime.calls import CallState, enter_call
from query_server.runtime.metrics import Metrics
from query_server.runtime.status import code_of, trailers
from query_server.servicers.index import IndexServicer
from rag_core.errors import DataCorruption, DeadlineExceeded, InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.retrieval.index import SearchMode, SearchRequest, SearchResult
from ragproto.admin.v1 import index_pb2 as pb
from ragproto.admin.v1 import index_pb2_grpc

REQUEST = SearchRequest("acme", (), 1, SearchMode.LEXICAL, "bell")


class Owner(index_pb2_grpc.IndexServiceServicer):
    """Answers at once, or never, or with an error, and keeps what came with the call."""

    def __init__(self, *, answers: bool = True, error: RagError | None = None) -> None:
        self.answers = answers
        self.error = error
        self.remaining = 0.0
        self.metadata: dict[str, Any] = {}

    async def SearchIndex(self, request: pb.SearchIndexRequest, context: Any) -> pb.SearchIndexResponse:
        self.remaining, self.metadata = context.time_remaining(), dict(context.invocation_metadata())
        if not self.answers:
            await asyncio.Event().wait()
        if self.error is not None:
            await context.abort(code_of(self.error), self.error.message, trailers(self.error, "req-17"))
        return pb.SearchIndexResponse(generation="g1")


async def ask(owner: Owner, seconds: float) -> None:
    server = grpc.aio.server()
    index_pb2_grpc.add_IndexServiceServicer_to_server(owner, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    searcher = RemoteSearcher(f"127.0.0.1:{port}", "secret", Metrics())
    enter_call(CallState("/a.B/C", None, request_id="req-17", deadline=time.monotonic() + seconds))  # type: ignore[arg-type]
    try:
        await searcher.search(REQUEST)
    finally:
        await searcher.close()
        await server.stop(0)


async def test_deadline_and_request_id_of_the_call_reach_the_index() -> None:
    owner = Owner()
    await ask(owner, 20)
    assert 0 < owner.remaining <= 21  # gRPC rounds a deadline up
    assert owner.metadata["x-request-id"] == "req-17"


async def test_an_index_that_does_not_answer_ends_the_search_at_the_deadline_of_its_call() -> None:
    with pytest.raises(DeadlineExceeded):
        await ask(Owner(answers=False), 0.3)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(Reason.INDEX_EMPTY, "no index generation has been promoted yet"),
        DataCorruption(Reason.INDEX_CORRUPT, "generation g1 is damaged", generation="g1"),
        NotFound(Reason.GENERATION_NOT_FOUND, "no such index generation"),
        InvalidInput(Reason.VECTOR_DIM, "vector: 3 dimensions, not 4"),
    ],
    ids=lambda error: str(error.reason),
)
async def test_an_error_of_the_index_process_keeps_its_kind_its_reason_and_its_text(error: RagError) -> None:
    with pytest.raises(type(error)) as raised:
        await ask(Owner(error=error), 20)
    assert (raised.value.reason, raised.value.message) == (error.reason, error.message)


async def test_a_search_whose_caller_left_during_the_one_before_is_never_run() -> None:
    asked: list[str] = []

    class Index:
        def search(self, request: SearchRequest) -> SearchResult:
            asked.append(request.text)
            calls["second"].cancel()
            return SearchResult("g1", ())

    servicer: Any = IndexServicer(Index(), Metrics(), searches_in_loop=True)  # type: ignore[arg-type]
    messages = {name: pb.SearchIndexRequest(mode="lexical", text=name) for name in ("first", "second", "third")}
    calls = {name: asyncio.create_task(servicer.SearchIndex(message, None)) for name, message in messages.items()}
    await asyncio.wait(calls.values())
    assert asked == ["first", "third"]
    assert calls["second"].cancelled()
    servicer.close()


GONE = Unavailable(Reason.INDEX_UNAVAILABLE, "gone")
LATE = DeadlineExceeded(Reason.DEADLINE, "late")
SILENCES = [(GONE, 0.0), (asyncio.CancelledError(), WAITED_SECONDS), (LATE, WAITED_SECONDS)]


class Tried:
    """A breaker of three calls with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gauge = Gauge("silent", "silent", registry=CollectorRegistry())
        self.breaker = Breaker(3, gauge=self.gauge, clock=lambda: self.now)

    def call(self, outcome: BaseException | None = None, *, seconds: float = 0.0) -> bool:
        """Whether the call was let through."""
        began = False
        with suppress(RagError, asyncio.CancelledError), self.breaker.call():
            began = True
            self.now += seconds
            if outcome is not None:
                raise outcome
        return began

    @property
    def counted(self) -> float:
        return self.gauge.collect()[0].samples[0].value


@pytest.fixture
def tried() -> Tried:
    return Tried()


@pytest.mark.parametrize(("silence", "seconds"), SILENCES)
def test_it_opens_after_several_silent_calls_in_a_row(tried: Tried, silence: BaseException, seconds: float) -> None:
    assert [tried.call(silence, seconds=seconds) for _ in range(4)] == [True, True, True, False]
    assert (tried.breaker.open, tried.counted) == (True, 1)
    with pytest.raises(Unavailable) as refused, tried.breaker.call():
        pass
    assert refused.value.reason is Reason.INDEX_UNAVAILABLE


@pytest.mark.parametrize(
    "answer", [None, InvalidInput(Reason.FIELD_INVALID, "no"), Unavailable(Reason.INDEX_EMPTY, "nothing yet")]
)
def test_any_answer_starts_the_count_again(tried: Tried, answer: Exception | None) -> None:
    for outcome in (GONE, GONE, answer, GONE, GONE):
        assert tried.call(outcome)
    assert (tried.breaker.open, tried.counted) == (False, 0)


def test_an_index_that_answers_others_meanwhile_is_slow_and_not_silent(tried: Tried) -> None:
    waiting = [ExitStack() for _ in range(5)]
    for caller in waiting:
        caller.enter_context(tried.breaker.call())
    tried.now += WAITED_SECONDS
    assert tried.call(), "one of the others is answered"
    for caller in waiting:
        with pytest.raises(asyncio.CancelledError), caller:
            raise asyncio.CancelledError
    assert not tried.breaker.open


def test_a_caller_in_a_hurry_says_nothing_about_the_index(tried: Tried) -> None:
    for _ in range(5):
        assert tried.call(asyncio.CancelledError(), seconds=WAITED_SECONDS / 2)
    assert not tried.breaker.open


def test_while_open_one_call_at_a_time_tries_again(tried: Tried) -> None:
    for _ in range(3):
        tried.call(GONE)
    tried.now += COOLDOWN_SECONDS
    with tried.breaker.call():
        assert not tried.call(), "a trial is under way"
    assert not tried.breaker.open
    assert (tried.call(), tried.counted) == (True, 0)


def test_a_trial_that_fails_is_followed_by_another_pause(tried: Tried) -> None:
    for _ in range(3):
        tried.call(GONE)
    tried.now += COOLDOWN_SECONDS
    assert tried.call(GONE, seconds=5.0)
    tried.now += COOLDOWN_SECONDS / 2
    assert not tried.call()
    tried.now += COOLDOWN_SECONDS / 2
    assert tried.call()


def test_a_gauge_can_be_shared_with_another_count(tried: Tried) -> None:
    tried.gauge.inc(2)
    for _ in range(3):
        tried.call(GONE)
    assert tried.counted == 3
    tried.now += COOLDOWN_SECONDS
    tried.call()
    assert tried.counted == 2
