"""Retrieval: check, embed, search within what the caller may see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from query_server.blocking import BlockingPool
from query_server.handlers.validation import Query, check_filter, check_top_k, clean_text
from query_server.metrics import Metrics
from query_server.query_models import QueryModels
from rag_core.embedding.base import Vectors
from rag_core.errors import NotFound, Reason
from rag_core.filters import All, Condition, In
from rag_core.index.base import SearchMode, SearchRequest, SearchResult, VectorIndex
from rag_core.models import Principal
from rag_core.settings import Settings

T = TypeVar("T")


class SearchHandler:
    """Finds passages. Tenant and ACL come from the principal and are put on every request to the index."""

    def __init__(
        self, settings: Settings, index: VectorIndex, models: QueryModels, pool: BlockingPool, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._index = index
        self._models = models
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
        """Run a checked request; also gives the query's vector, which a lexical search does not have.

        Vector and search are of one generation by name. When readers are moved in between, both are made again.
        """
        result: SearchResult | None = None
        while result is None:
            generation, embedder = await self._models.target()
            vector = None if request.mode is SearchMode.LEXICAL else await embedder.embed(request.text)
            result = await self._call_current(replace(request, vector=vector, generation=generation))
        if not result.hits:
            await self._require_sources(request, result.generation)
        return result, vector

    async def _call_current(self, request: SearchRequest) -> SearchResult | None:
        """The result, or `None` when readers were moved to another generation and this server follows."""
        found = await self._timed(self._search_unless_moved, request)
        if isinstance(found, SearchResult):
            return found
        if await self._models.moved_to(found):
            return None
        return await self._call_index(request)

    def _search_unless_moved(self, request: SearchRequest) -> SearchResult | str:
        """Both in the one thread, so that looking at the alias costs no second hop."""
        alias = self._index.alias()
        return alias if alias is not None and alias != request.generation else self._index.search(request)

    async def _call_index(self, request: SearchRequest) -> SearchResult:
        return await self._timed(self._index.search, request)

    async def _timed(self, search: Callable[[SearchRequest], T], request: SearchRequest) -> T:
        started = time.monotonic()
        result = await self._pool.run(search, request)
        self._metrics.search_seconds.observe(time.monotonic() - started)
        return result

    async def _require_sources(self, request: SearchRequest, generation: str) -> None:
        """An empty result for a source that the caller cannot see is an error, the same whether it exists or not."""
        for names in _required_sources(request.filter):
            # Any word of the corpus would do; the dense leg needs none, so it finds whatever is visible.
            embedder = await self._models.embedder_of(generation)
            probe = SearchRequest(
                tenant=request.tenant,
                acl=request.acl,
                limit=1,
                mode=SearchMode.DENSE,
                vector=await embedder.embed(request.text),
                filter=names,
                generation=generation,
            )
            if not (await self._call_index(probe)).hits:
                raise NotFound(Reason.SOURCE_NOT_FOUND, "filter: no such source")


def _required_sources(condition: Condition | None) -> Iterator[In]:
    """The conditions on `source` that every result must meet."""
    match condition:
        case In("source"):
            yield condition
        case All(children):
            for child in children:
                yield from _required_sources(child)
