"""Retrieval: check, embed, search within what the caller may see."""

from __future__ import annotations

import time
from collections.abc import Iterator

from query_server.blocking import BlockingPool
from query_server.handlers.validation import Query, check_filter, check_top_k, clean_text
from query_server.metrics import Metrics
from query_server.query_embedder import QueryEmbedder
from rag_core.embedding.base import Vectors
from rag_core.errors import NotFound, Reason
from rag_core.filters import All, Condition, In
from rag_core.index.base import SearchMode, SearchRequest, SearchResult, VectorIndex
from rag_core.models import Principal
from rag_core.settings import Settings


class SearchHandler:
    """Finds passages. Tenant and ACL come from the principal and are put on every request to the index."""

    def __init__(
        self, settings: Settings, index: VectorIndex, embedder: QueryEmbedder, pool: BlockingPool, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._index = index
        self._embedder = embedder
        self._pool = pool
        self._metrics = metrics

    async def search(self, principal: Principal, query: Query) -> SearchResult:
        """The passages for a query, best first.

        Raises `InvalidInput` before any work, `NotFound` (`SOURCE_NOT_FOUND`) when the filter names only sources that
        are absent or not visible, `Unavailable` (`INDEX_EMPTY`, `INDEX_UNAVAILABLE`).
        """
        request = self.checked(principal, query)
        result, _ = await self.retrieve(request)
        return result

    def checked(self, principal: Principal, query: Query) -> SearchRequest:
        """The request to the index, not yet with a vector. Raises `InvalidInput`."""
        text = clean_text(query.text, limit=self._settings.max_query_chars)
        limit = check_top_k(query.top_k, default=self._settings.default_top_k)
        check_filter(query.filter, metadata_fields=self._settings.metadata_fields)
        return SearchRequest(
            tenant=principal.tenant,
            acl=principal.acl_entries,
            limit=limit,
            mode=query.mode,
            text=text,
            filter=query.filter,
        )

    async def retrieve(self, request: SearchRequest) -> tuple[SearchResult, Vectors | None]:
        """Run a checked request; also gives the query's vector, which a lexical search does not have."""
        vector = None if request.mode is SearchMode.LEXICAL else await self._embedder.embed(request.text)
        result = await self._call_index(_with_vector(request, vector))
        if not result.hits:
            await self._require_sources(request, result.generation)
        return result, vector

    async def _call_index(self, request: SearchRequest) -> SearchResult:
        started = time.monotonic()
        result = await self._pool.run(self._index.search, request)
        self._metrics.search_seconds.observe(time.monotonic() - started)
        return result

    async def _require_sources(self, request: SearchRequest, generation: str) -> None:
        """An empty result for a source that the caller cannot see is an error, the same whether it exists or not."""
        for names in _required_sources(request.filter):
            # Any word of the corpus would do; the dense leg needs none, so it finds whatever is visible.
            probe = SearchRequest(
                tenant=request.tenant,
                acl=request.acl,
                limit=1,
                mode=SearchMode.DENSE,
                vector=await self._embedder.embed(request.text),
                filter=names,
                generation=generation,
            )
            if not (await self._call_index(probe)).hits:
                raise NotFound(Reason.SOURCE_NOT_FOUND, "filter: no such source")


def _with_vector(request: SearchRequest, vector: Vectors | None) -> SearchRequest:
    return SearchRequest(
        tenant=request.tenant,
        acl=request.acl,
        limit=request.limit,
        mode=request.mode,
        text=request.text,
        vector=vector,
        filter=request.filter,
    )


def _required_sources(condition: Condition | None) -> Iterator[In]:
    """The conditions on `source` that every result must meet."""
    match condition:
        case In("source"):
            yield condition
        case All(children):
            for child in children:
                yield from _required_sources(child)
