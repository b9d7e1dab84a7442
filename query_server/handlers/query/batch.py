"""Several searches in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from query_server.handlers.query.search import ResultPage, SearchHandler
from query_server.handlers.query.validation import Query
from query_server.interceptors.concurrency import ConcurrencyLimiter
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.governance.access import Principal

MAX_SEARCHES = 16
SIDE_BY_SIDE = 4
"""Searches of one call that may be at work at once."""


class BatchHandler:
    """Every search of a batch takes a slot of the search gate of its own: a batch is no way around the limit."""

    def __init__(self, search: SearchHandler, limiter: ConcurrencyLimiter) -> None:
        self._search = search
        self._limiter = limiter

    async def run(self, principal: Principal, queries: Sequence[Query | InvalidInput]) -> list[ResultPage | RagError]:
        """The outcome of each search, in order; an entry that could not be read comes back as it is.

        Raises `InvalidInput` (`FIELD_INVALID`) unless there are 1 to 16.
        """
        if not 1 <= len(queries) <= MAX_SEARCHES:
            raise InvalidInput(Reason.FIELD_INVALID, f"searches: {len(queries)} is not in 1..{MAX_SEARCHES}")
        turns = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(query: Query | InvalidInput) -> ResultPage | RagError:
            if isinstance(query, InvalidInput):
                return query
            try:
                async with turns, self._limiter.enter(principal.tenant):
                    return await self._search.search(principal, query)
            except RagError as error:
                return error

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(query)) for query in queries]
        return [task.result() for task in tasks]
