"""What travels with a search to the process that owns the index: the caller's deadline and its request id."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc.aio
import pytest

from query_server.handlers.query.searcher import RemoteSearcher
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
