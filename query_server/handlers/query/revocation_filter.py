"""Pending revocations, put on every search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from query_server.auth.revocations import PendingRevocationCache
from query_server.handlers.query.searcher import Searcher
from rag_core.retrieval.index import ChunkRange, IndexPoint, SearchRequest, SearchResult


class RevocationFilter:
    """A searcher that adds pending revocations to every search, so that no leg and no probe can omit them."""

    def __init__(self, searcher: Searcher, pending_revocations: PendingRevocationCache) -> None:
        self._searcher = searcher
        self._pending_revocations = pending_revocations

    async def search(self, request: SearchRequest) -> SearchResult:
        """See `Searcher.search`."""
        return await self._searcher.search(self._filtered(request))

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        """See `Searcher.around`."""
        return await self._searcher.around(self._filtered(request), places)

    def _filtered(self, request: SearchRequest) -> SearchRequest:
        revoked = self._pending_revocations.of_caller(request.tenant, request.acl)
        return replace(request, pending_revocations=revoked) if revoked else request

    async def close(self) -> None:
        await self._searcher.close()
