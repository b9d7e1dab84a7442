"""Damage of the index that only a search meets: for a while afterwards this server is not ready."""

from __future__ import annotations

import time
from collections.abc import Callable

from query_server.searching import Searcher
from rag_core.errors import DataCorruption
from rag_core.index.base import SearchRequest, SearchResult

REMEMBERED_SECONDS = 30.0
"""The damage may lie where few searches come by: a search that went well elsewhere does not end it."""


class WatchedSearcher:
    """A searcher that remembers when it last met damage. It is not repaired here: `rag index rebuild` does that."""

    def __init__(self, searcher: Searcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._searcher = searcher
        self._clock = clock
        self._damaged_at = float("-inf")

    @property
    def sound(self) -> bool:
        """Whether no damage was met lately."""
        return self._clock() - self._damaged_at >= REMEMBERED_SECONDS

    async def search(self, request: SearchRequest) -> SearchResult:
        """See `Searcher.search`."""
        try:
            return await self._searcher.search(request)
        except DataCorruption:
            self._damaged_at = self._clock()
            raise

    async def close(self) -> None:
        await self._searcher.close()
