"""Access that ended a moment ago: every search leaves out what its caller lost before the index was told.

A change of permissions or a deletion counts from its commit in PostgreSQL, whoever made it and whatever became of the
process that did: a trigger notes it there, and each server reads the notes four times a second. The index needs no part
in that, so a run that dies between the commit and the index opens nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from query_server.metrics import Metrics
from query_server.parts import LazyStore
from query_server.polling import Poller
from query_server.revocations import Age
from query_server.searching import Searcher
from rag_core.index.base import NOTHING_WITHHELD, SearchRequest, SearchResult, Withheld

if TYPE_CHECKING:
    from rag_core.store.visibility import Restriction

READ_SECONDS = 0.25
MAX_SHARE = 0.2
"""Part of the time that the question may keep the database busy."""
MAX_NAMED = 5000
"""Documents of one source that are left out one by one; with more the whole source is, until the index caught up."""


class Withdrawals:
    """The last reading. For one event loop.

    Nothing is answered before there was one. While the database is away the last one stands: nothing can be committed
    there meanwhile. For an installation where it may be away from this server alone, `max_age` (seconds, 0: never)
    ends that.
    """

    def __init__(self, store: LazyStore, metrics: Metrics, *, max_age: float) -> None:
        self._store = store
        self._gauge = metrics.withheld
        self.age = Age("permissions", max_age)
        self._by_tenant: Mapping[str, Sequence[Restriction]] = {}
        self.poller = Poller("permissions", self._read, self._take, seconds=READ_SECONDS, share=MAX_SHARE)

    def withheld(self, tenant: str, acl: Sequence[str]) -> Withheld:
        """What a caller lost. Raises `Unavailable` (`REVOCATIONS_UNKNOWN`, `DATABASE_UNAVAILABLE`), see `Age`."""
        self.age.require_recent()
        lost = [one for one in self._by_tenant.get(tenant, ()) if one.acl.isdisjoint(acl)]
        if not lost:
            return NOTHING_WITHHELD
        documents = tuple(one.doc_id for one in lost if one.doc_id is not None)
        return Withheld(documents, tuple({one.source for one in lost if one.doc_id is None}))

    def _read(self) -> tuple[float, Mapping[str, Sequence[Restriction]]]:
        # Imported here: SQLAlchemy takes as long to load as the rest of the server.
        from rag_core.store.visibility import restrictions

        began, by_tenant = self.age.now(), defaultdict(list)
        with self._store.get().engine.connect() as connection:
            for one in restrictions(connection, most=MAX_NAMED):
                by_tenant[one.tenant].append(one)
        return began, by_tenant

    def _take(self, found: tuple[float, Mapping[str, Sequence[Restriction]]]) -> None:
        self.age.read_at, self._by_tenant = found
        self._gauge.set(sum(map(len, self._by_tenant.values())))


class WithholdingSearcher:
    """A searcher that every search goes through, so that no leg and no probe can be without it."""

    def __init__(self, searcher: Searcher, withdrawals: Withdrawals) -> None:
        self._searcher = searcher
        self._withdrawals = withdrawals

    async def search(self, request: SearchRequest) -> SearchResult:
        """See `Searcher.search`."""
        withheld = self._withdrawals.withheld(request.tenant, request.acl)
        return await self._searcher.search(replace(request, withheld=withheld) if withheld else request)

    async def close(self) -> None:
        await self._searcher.close()
