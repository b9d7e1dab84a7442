"""Searching one generation: the vector of its model and its index, also while readers move to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from query_server.handlers.query.embedder import QueryEmbedder
from query_server.handlers.query.models import QueryModels
from query_server.handlers.query.searcher import Searcher
from rag_core.content.documents import All, Condition, In
from rag_core.content.embedding import Vectors
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.retrieval.index import SearchMode, SearchRequest, SearchResult


class GenerationSearch:
    """Embeds the text of a request and searches, both by the same generation."""

    def __init__(self, searcher: Searcher, models: QueryModels) -> None:
        self._searcher = searcher
        self._models = models

    async def search(self, request: SearchRequest) -> tuple[SearchResult, Vectors | None]:
        """Search the generation that a request names, else the active one; returns the query's vector as well.

        Raises `NotFound` (`GENERATION_NOT_FOUND`) when the named one was retired, or `SOURCE_NOT_FOUND` when nothing
        is found because the filter names only sources that the caller cannot see.
        """
        pinned = request.generation
        found, vector = await (self._current(request) if pinned is None else self._pinned(request, pinned))
        if not found.hits:
            await self._require_sources(request, found.generation)
        return found, vector

    async def _current(self, request: SearchRequest) -> tuple[SearchResult, Vectors | None]:
        """Search the active generation. Vector and search are of one generation; after a promotion in between, both are
        repeated."""
        while True:
            generation, embedder = await self._models.target()
            vector = await _embed(embedder, request)
            found = await self._unless_moved(replace(request, vector=vector), generation)
            if found is not None:
                return found, vector

    async def _unless_moved(self, request: SearchRequest, generation: str | None) -> SearchResult | None:
        """Search the active generation, which `generation` was a moment ago.

        `None` when readers were moved to another one and this server follows.
        """
        try:
            found = await self._searcher.search(request)
        except InvalidInput:  # the vector may be of another size than the generation that readers are on now
            alias = await self._models.alias()
            if alias is None or alias == generation:
                raise
        else:
            if generation == found.generation:
                return found
            alias = found.generation
        if await self._models.switch_to(alias):
            return None
        return await self._stayed(replace(request, generation=generation))

    async def _stayed(self, request: SearchRequest) -> SearchResult:
        """Search the previous generation, because this server has no model for the active one."""
        try:
            return await self._searcher.search(request)
        except NotFound as error:
            if error.reason is not Reason.GENERATION_NOT_FOUND:
                raise
            message = "the active generation's query model is not loaded here and the one before was retired"
            raise Unavailable(Reason.EMBEDDER_UNAVAILABLE, message) from None

    async def _pinned(self, request: SearchRequest, generation: str) -> tuple[SearchResult, Vectors | None]:
        """Search the generation of the pages before, or one that the caller chose.

        Its permissions must be those of now: one that was retired and not removed yet receives no more changes.
        """
        try:
            if not await self._models.receives_writes(generation):
                raise _no_generation()
            embedder = await self._models.embedder_of(generation)
            vector = await _embed(embedder, request)
            return await self._searcher.search(replace(request, vector=vector)), vector
        except RagError as error:
            if error.reason is not Reason.GENERATION_NOT_FOUND and self._models.knows(generation):
                raise
            raise _no_generation() from None

    async def _require_sources(self, request: SearchRequest, generation: str) -> None:
        """An empty result for a source that the caller cannot see is an error, the same whether it exists or not."""
        for names in _required_sources(request.filter):
            # A vector finds whatever is visible, any vector: none of the query, whose model may be away.
            embedder = await self._models.embedder_of(generation)
            probe = SearchRequest(
                tenant=request.tenant,
                acl=request.acl,
                limit=1,
                mode=SearchMode.DENSE,
                vector=np.full(embedder.dimensions, embedder.dimensions**-0.5, dtype=np.float32),
                filter=names,
                generation=generation,
            )
            if not (await self._searcher.search(probe)).hits:
                raise NotFound(Reason.SOURCE_NOT_FOUND, "filter: no such source")


def _required_sources(condition: Condition | None) -> Iterator[In]:
    """The conditions on `source` that every result must meet."""
    match condition:
        case In("source"):
            yield condition
        case All(children):
            for child in children:
                yield from _required_sources(child)


def _no_generation() -> NotFound:
    message = "index: there is no generation of this name, or it was retired (`rag index generations`)"
    return NotFound(Reason.GENERATION_NOT_FOUND, message)


async def _embed(embedder: QueryEmbedder, request: SearchRequest) -> Vectors | None:
    return None if request.mode is SearchMode.LEXICAL else await embedder.embed(request.tenant, request.text)
