"""Systems under test for the same questions: model alone, engine in process, server, gateway, peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import httpx

from benchmarks.query.corpus import TENANT
from benchmarks.query.load import Call
from rag_core.content.embedding import Embedder
from rag_core.governance.access import EVERYONE
from rag_core.retrieval.index import SearchRequest, VectorIndex
from ragproto.query.v2 import query_pb2, query_pb2_grpc

TOP_K = 10
_DEADLINE_SECONDS = 30
System = Callable[[], AbstractAsyncContextManager[Call]]


def in_process(work: Callable[[str], object], threads: int) -> System:
    """Blocking work on a pool of threads, as a server in this process would do it."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(threads) as pool:

            async def call(question: str) -> None:
                await loop.run_in_executor(pool, work, question)

            yield call

    return opened


def embed_only(embedder: Embedder) -> Callable[[str], object]:
    """The model and nothing else."""
    return lambda question: embedder.embed_queries([question])


def engine_only(embedder: Embedder, index: VectorIndex) -> Callable[[str], object]:
    """The model and a hybrid search: the limit for anything built on them."""

    def work(question: str) -> object:
        vector = embedder.embed_queries([question])[0]
        return index.search(SearchRequest(TENANT, (EVERYONE,), TOP_K, text=question, vector=vector))

    return work


def over_grpc(address: str, token: str, mode: query_pb2.SearchMode = query_pb2.SEARCH_MODE_HYBRID) -> System:
    """`query.v2.Search` at an address: the server itself or the gateway."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            stub = query_pb2_grpc.QueryServiceStub(channel)
            metadata = (("authorization", f"Bearer {token}"),)

            async def call(question: str) -> None:
                request = query_pb2.SearchRequest(query=question, top_k=TOP_K, mode=mode)
                await stub.Search(request, metadata=metadata, timeout=_DEADLINE_SECONDS)

            yield call

    return opened


def over_http(url: str, path: str = "/search", token: str | None = None) -> System:
    """A JSON interface: the peer's, or ours with a token."""
    headers = {"authorization": f"Bearer {token}"} if token else {}

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        async with httpx.AsyncClient(
            base_url=url, headers=headers, trust_env=False, timeout=_DEADLINE_SECONDS
        ) as client:

            async def call(question: str) -> None:
                response = await client.post(path, json={"query": question, "top_k": TOP_K})
                response.raise_for_status()

            yield call

    return opened
