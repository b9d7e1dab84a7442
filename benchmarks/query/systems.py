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
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from ragproto.query.v2 import query_pb2, query_pb2_grpc

TOP_K = 10
_DEADLINE_SECONDS = 30
System = Callable[[], AbstractAsyncContextManager[Call]]


def in_process(work: Callable[[str], list[str]], threads: int) -> System:
    """Blocking work on a pool of threads, as a server in this process would do it."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(threads) as pool:

            async def call(question: str) -> list[str]:
                return await loop.run_in_executor(pool, work, question)

            yield call

    return opened


def embed_only(embedder: Embedder) -> Callable[[str], list[str]]:
    """The model and nothing else."""

    def work(question: str) -> list[str]:
        embedder.embed_queries([question])
        return []

    return work


def engine_only(
    embedder: Embedder, index: VectorIndex, mode: SearchMode = SearchMode.HYBRID
) -> Callable[[str], list[str]]:
    """The model and a search: the limit for anything built on them."""

    def work(question: str) -> list[str]:
        vector = embedder.embed_queries([question])[0]
        request = SearchRequest(TENANT, (EVERYONE,), TOP_K, mode=mode, text=question, vector=vector)
        return [hit.payload.text for hit in index.search(request).hits]

    return work


def over_grpc(address: str, token: str, mode: query_pb2.SearchMode = query_pb2.SEARCH_MODE_HYBRID) -> System:
    """`query.v2.Search` at an address: the server itself or the gateway."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            stub = query_pb2_grpc.QueryServiceStub(channel)
            metadata = (("authorization", f"Bearer {token}"),)

            async def call(question: str) -> list[str]:
                request = query_pb2.SearchRequest(query=question, top_k=TOP_K, mode=mode)
                found = await stub.Search(request, metadata=metadata, timeout=_DEADLINE_SECONDS)
                return [passage.text for passage in found.passages]

            yield call

    return opened


def over_http(url: str, path: str = "/search", token: str | None = None, *, dense: bool = False) -> System:
    """A JSON interface: the peer's, or ours with a token. `dense`: a peer's dense leg alone."""
    options = {"dense": True} if dense else {}
    headers = {"authorization": f"Bearer {token}"} if token else {}

    @asynccontextmanager
    async def opened() -> AsyncIterator[Call]:
        async with httpx.AsyncClient(
            base_url=url, headers=headers, trust_env=False, timeout=_DEADLINE_SECONDS
        ) as client:

            async def call(question: str) -> list[str]:
                response = await client.post(path, json={"query": question, "top_k": TOP_K} | options)
                response.raise_for_status()
                return [passage["text"] for passage in response.json()["passages"]]

            yield call

    return opened
