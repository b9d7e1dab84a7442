"""The generation that a query searches, and its embedder.

Query model and index switch together on all replicas: a query is embedded for one generation and searched in that one
by name, so a response cannot mix two. Every server loads the query models of all generations that receive writes before
one of them is promoted, and reports it in the database; a promotion waits until every living server has. Then the
alias moves once, and each search resolves it: all servers switch with their next search.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from query_server.handlers.query.embedder import QueryEmbedder
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.polling import READ_SECONDS, database_thread
from rag_core.content.embedding import Embedder, open_embedder
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.ingestion import generations
from rag_core.ingestion.generations import settings_for
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.ingestion.generations import Generation, GenerationConfig

INTERVAL_SECONDS = 2.0
_FAREWELL_SECONDS = 2.0
_log = get_logger("query_server.models")


class QueryModels:
    """Query embedders by fingerprint. For one event loop; `own` belongs to the caller, the others to this object."""

    def __init__(
        self,
        settings: Settings,
        index: VectorIndex,
        own: QueryEmbedder,
        own_fingerprint: str,
        store: LazyStore,
        pool: BlockingPool,
        make: Callable[[Embedder], QueryEmbedder],
    ) -> None:
        self._settings, self._index, self._store, self._pool, self._make = settings, index, store, pool, make
        self._own = own_fingerprint
        self._loaded: dict[str, QueryEmbedder] = {own_fingerprint: own}
        self._opened: dict[str, Embedder] = {}
        self._built_with: dict[str, str] = {}
        self._written: frozenset[str] = frozenset()
        self._served: str | None = None
        self.thread = database_thread("query-models")
        self._refreshing: asyncio.Task[None] | None = None
        self._replica = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"

    @property
    def served(self) -> str | None:
        """The generation the last query was meant for."""
        return self._served

    async def embedder_of(self, generation: str) -> QueryEmbedder:
        """The query embedder of a generation.

        Raises `Unavailable` (`EMBEDDER_UNAVAILABLE`) when this server does not have it and cannot load it now.
        """
        for _ in range(2):  # a refresh that was under way may have begun before the generation was there
            found = self._find(generation)
            if found is not None:
                return found
            await self.refresh()
        found = self._find(generation)
        if found is None:
            raise Unavailable(
                Reason.EMBEDDER_UNAVAILABLE, "this server has not loaded the query model of the active generation"
            )
        return found

    async def target(self) -> tuple[str | None, QueryEmbedder]:
        """The generation a new query is meant for and its embedder; `None` before the first promotion.

        It may have moved on by the time of the search, which asks again. When the model of the active one cannot be
        had (the database is down as well), the generation served before stays while the index has it: it is complete
        and was right until now.
        """
        generation = self._served if self._served_is_current() else await self.alias()
        if generation is None:
            return None, self._loaded[self._own]
        embedder = await self.embedder_of(generation)
        self._served = generation
        return generation, embedder

    async def problem(self, generation: str) -> Reason | None:
        """Reason why queries cannot use the active generation, `None` when they can; from then on they do."""
        if not self.knows(generation):
            await self.refresh()
        if not self.knows(generation):
            return Reason.GENERATION_NOT_FOUND
        if self._find(generation) is None:
            return Reason.EMBEDDER_UNAVAILABLE
        self._served = generation
        return None

    def knows(self, generation: str) -> bool:
        """Return whether the index had this generation at the last refresh."""
        return generation in self._built_with

    async def receives_writes(self, generation: str) -> bool:
        """Return whether changes, of permissions too, reached this generation when the database was last read.

        While there was none, it is not known that it did not.
        """
        if generation not in self._written:
            await self.refresh()
        return generation in self._written or not self._written

    async def alias(self) -> str | None:
        """The active generation, read from the index."""
        return await self._pool.run(self._index.alias)

    async def switch_to(self, generation: str) -> bool:
        """Take note that the alias has moved; whether this server can follow.

        Raises `Unavailable` (`EMBEDDER_UNAVAILABLE`) when it cannot and there is no generation to stay on: the first
        one was promoted just now, or the one before was retired.
        """
        try:
            await self.embedder_of(generation)
        except RagError as error:
            if not self._served_is_current():
                raise
            _log.warning("generation_not_followed", generation=generation, message=error.message)
            return False
        self._served = generation
        return True

    async def refresh(self) -> None:
        """Load the models of the generations that receive writes, and report to the database which this server has.

        In a task that all who ask share: a call that ends meanwhile leaves nothing half loaded behind.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def _refresh(self) -> None:
        with suppress(RagError):
            specs = await self._pool.run(self._index.generations)
            self._built_with = {spec.name: spec.embedder for spec in specs}
        try:
            rows = await self.thread.run_within(READ_SECONDS, self._write_targets)
        except RagError:
            return  # the database is down: what is loaded stays
        self._written = frozenset(row.name for row in rows)
        wanted = {row.embedder: row.settings for row in rows}
        for fingerprint, generation_config in wanted.items():
            if fingerprint not in self._loaded:
                await self._load(fingerprint, generation_config)
        in_use = self._built_with.get(self._served or "", "")
        await self._unload({*wanted, in_use})
        with suppress(RagError):
            await self.thread.run_within(READ_SECONDS, self._report)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def close(self) -> None:
        """Close what was opened here, and report that this server is gone."""
        if self._refreshing is not None and not self._refreshing.done():
            self._refreshing.cancel()
            await asyncio.wait({self._refreshing})
        await self._unload(())
        with suppress(RagError):
            await self.thread.run_within(_FAREWELL_SECONDS, self._forget)

    def _served_is_current(self) -> bool:
        return self._served is not None and self.knows(self._served)

    def _find(self, generation: str) -> QueryEmbedder | None:
        return self._loaded.get(self._built_with.get(generation, ""))

    async def _load(self, fingerprint: str, generation_config: GenerationConfig) -> None:
        try:
            opened = await asyncio.to_thread(lambda: open_embedder(settings_for(self._settings, generation_config)))
        except RagError as error:
            _log.warning("query_model_not_loaded", reason=error.reason, message=error.message)
            return
        if opened.fingerprint != fingerprint:
            opened.close()
            _log.warning("query_model_not_loaded", reason="it is another model here", wanted=fingerprint)
            return
        self._opened[fingerprint] = opened
        self._loaded[fingerprint] = self._make(opened)
        _log.info("query_model_loaded", embedder=fingerprint)

    async def _unload(self, wanted: Collection[str]) -> None:
        for fingerprint in [known for known in self._opened if known not in wanted]:
            await self._loaded.pop(fingerprint).close()
            self._opened.pop(fingerprint).close()

    def _write_targets(self) -> list[Generation]:
        with self._store.get().engine.connect() as connection:
            return list(generations.store.write_targets(connection))

    def _report(self) -> None:
        with self._store.get().engine.begin() as connection:
            generations.replica_store.report(connection, self._replica, list(self._loaded))

    def _forget(self) -> None:
        with self._store.get().engine.begin() as connection:
            generations.replica_store.forget(connection, self._replica)
