"""Several searches in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from query_server.handlers.search import Page, SearchHandler
from query_server.handlers.validation import Query
from query_server.interceptors.gates import ConcurrencyGate
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.models import Principal

MAX_SEARCHES = 16
SIDE_BY_SIDE = 4
"""Searches of one call that may be at work at once."""


class BatchHandler:
    """Every search of a batch takes a slot of the search gate of its own: a batch is no way around the limit."""

    def __init__(self, search: SearchHandler, gate: ConcurrencyGate) -> None:
        self._search = search
        self._gate = gate

    async def run(self, principal: Principal, queries: Sequence[Query | InvalidInput]) -> list[Page | RagError]:
        """The outcome of each search, in order; an entry that could not be read comes back as it is.

        Raises `InvalidInput` (`FIELD_INVALID`) unless there are 1 to 16.
        """
        if not 1 <= len(queries) <= MAX_SEARCHES:
            raise InvalidInput(Reason.FIELD_INVALID, f"searches: {len(queries)} is not in 1..{MAX_SEARCHES}")
        turns = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(query: Query | InvalidInput) -> Page | RagError:
            if isinstance(query, InvalidInput):
                return query
            try:
                async with turns, self._gate.enter(principal.tenant):
                    return await self._search.search(principal, query)
            except RagError as error:
                return error

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(query)) for query in queries]
        return [task.result() for task in tasks]
