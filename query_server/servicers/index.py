# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.IndexService: the embedded index for the other processes of this host.

A thin skin over `VectorIndex`: `rag_core.retrieval.engines.remote.wire` converts and checks, the index does the rest.
Searches have threads of their own, so that a bulk write never takes one from them, or run in the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import grpc.aio

from query_server.runtime.metrics import Metrics
from rag_core.retrieval.engines.remote import wire, wire_payloads
from rag_core.retrieval.index import ApplyResult, VectorIndex
from rag_tracing import carried, exemplar
from ragproto.admin.v1 import index_pb2 as pb
from ragproto.admin.v1 import index_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]
P = ParamSpec("P")
T = TypeVar("T")
THREADS = 4


class IndexServicer(rpc.IndexServiceServicer):
    """Every call blocks in the engine, so each runs in a thread.

    Where the loop serves nothing else searches run in it: the engine holds the interpreter lock, so that threads would
    only hand it to each other.
    """

    def __init__(self, index: VectorIndex, metrics: Metrics, *, searches_in_loop: bool = False) -> None:
        self._index = index
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="index-service")
        self._searches = ThreadPoolExecutor(THREADS, thread_name_prefix="index-search")
        self._turn = asyncio.Lock() if searches_in_loop else None

    async def CreateGeneration(
        self, request: pb.CreateGenerationRequest, context: Context
    ) -> pb.CreateGenerationResponse:
        await self._run(self._index.create, wire.spec_from_wire(request.spec))
        return pb.CreateGenerationResponse()

    async def DropGeneration(self, request: pb.DropGenerationRequest, context: Context) -> pb.DropGenerationResponse:
        await self._run(self._index.drop, request.generation)
        return pb.DropGenerationResponse()

    async def ResetGeneration(self, request: pb.ResetGenerationRequest, context: Context) -> pb.ResetGenerationResponse:
        await self._run(self._index.reset, request.generation)
        return pb.ResetGenerationResponse()

    async def ListGenerations(self, request: pb.ListGenerationsRequest, context: Context) -> pb.ListGenerationsResponse:
        specs = await self._run(self._index.generations)
        alias = await self._run(self._index.alias)
        return pb.ListGenerationsResponse(generations=map(wire.spec_to_wire, specs), alias=alias or "")

    async def Promote(self, request: pb.PromoteRequest, context: Context) -> pb.PromoteResponse:
        await self._run(self._index.promote, request.generation)
        return pb.PromoteResponse()

    async def Apply(self, request_iterator: AsyncIterator[pb.ApplyRequest], context: Context) -> pb.ApplyResponse:
        assembler = wire.ApplyAssembler()
        async for frame in request_iterator:
            await self._run(assembler.add, frame)
        result = await self._run(self._index.apply, *assembler.finish())
        self._count(result)
        return pb.ApplyResponse(upserted=result.upserted, removed=result.removed, stale=result.stale)

    async def SearchIndex(self, request: pb.SearchIndexRequest, context: Context) -> pb.SearchIndexResponse:
        wanted = wire.search_from_wire(request)
        started = time.monotonic()
        # Cancelled with the call: a search whose caller has left before its turn is never run.
        if self._turn is None:
            result = await asyncio.wrap_future(self._searches.submit(carried(self._index.search), wanted))
        else:
            async with self._turn:
                await asyncio.sleep(0)  # between two searches the loop learns who has left
                result = self._index.search(wanted)
        self._metrics.search_seconds.observe(time.monotonic() - started, exemplar())
        return wire.result_to_wire(result)

    async def AroundPoints(self, request: pb.AroundPointsRequest, context: Context) -> pb.AroundPointsResponse:
        points = await self._run(self._index.around, *wire.around_from_wire(request))
        return pb.AroundPointsResponse(points=map(wire.point_to_wire, points))

    async def Count(self, request: pb.CountRequest, context: Context) -> pb.CountResponse:
        tenant, source = request.tenant or None, request.source or None
        points = await self._run(self._index.count, request.generation, tenant=tenant, source=source)
        return pb.CountResponse(points=points)

    async def Scroll(self, request: pb.ScrollRequest, context: Context) -> AsyncIterator[pb.ScrollResponse]:
        batch = min(max(request.batch, 1), wire.MAX_SCROLL_BATCH)
        batches = await self._run(
            self._index.scroll, request.generation, batch=batch, with_vectors=request.with_vectors
        )
        while (message := await self._run(_next_batch, batches)) is not None:
            yield message

    async def FetchPoints(self, request: pb.FetchPointsRequest, context: Context) -> pb.FetchPointsResponse:
        ids = [wire_payloads.id_from_wire(chunk_id) for chunk_id in request.chunk_ids]
        points = await self._run(self._index.fetch, request.generation, ids)
        return pb.FetchPointsResponse(points=map(wire.point_to_wire, points))

    async def SelfRetrieval(self, request: pb.SelfRetrievalRequest, context: Context) -> pb.SelfRetrievalResponse:
        ids = [wire_payloads.id_from_wire(chunk_id) for chunk_id in request.chunk_ids]
        return wire.self_retrieval_to_wire(await self._run(self._index.self_retrieval, request.generation, ids))

    async def DeletePoints(self, request: pb.DeletePointsRequest, context: Context) -> pb.DeletePointsResponse:
        ids = [wire_payloads.id_from_wire(chunk_id) for chunk_id in request.chunk_ids]
        removed = await self._run(self._index.delete_points, request.generation, ids)
        self._metrics.index_writes.labels("removed").inc(removed)
        return pb.DeletePointsResponse(removed=removed)

    async def Optimize(self, request: pb.OptimizeRequest, context: Context) -> pb.OptimizeResponse:
        await self._run(self._index.optimize, request.generation)
        return pb.OptimizeResponse()

    def close(self) -> None:
        """Wait for the calls that have begun."""
        self._searches.shutdown(wait=True, cancel_futures=True)
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._threads.submit(carried(function), *args, **kwargs))

    def _count(self, result: ApplyResult) -> None:
        for operation, points in (("upserted", result.upserted), ("removed", result.removed), ("stale", result.stale)):
            self._metrics.index_writes.labels(operation).inc(points)


def _next_batch(batches: Iterator[list[Any]]) -> pb.ScrollResponse | None:
    points = next(batches, None)
    return None if points is None else pb.ScrollResponse(points=map(wire.point_to_wire, points))
