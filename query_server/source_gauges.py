"""Numbers about the sources as metrics, read from the database beside the calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from query_server.metrics import Metrics
from query_server.parts import LazyStore
from rag_core.errors import RagError

if TYPE_CHECKING:
    from rag_core.store.conditions import SourceState
    from rag_core.store.quality import Latest

INTERVAL_SECONDS = 30.0
_log = structlog.get_logger("query_server.source_gauges")


class SourceGauges:
    """Refreshes the gauges every 30 s. While the database is down they keep their values, and the log says so once."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._reachable = True

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def refresh(self) -> None:
        """Read once. Sources that are gone lose their series."""
        try:
            states, results = await asyncio.to_thread(self._read)
        except RagError as error:
            if self._reachable:
                _log.warning("source_gauges_stale", reason=str(error.reason))
            self._reachable = False
            return
        self._reachable = True
        self._set(states, results)

    def _read(self) -> tuple[list[SourceState], list[Latest]]:
        # Imported here: SQLAlchemy takes as long to load as the rest of the server, and queries do without it.
        from rag_core.store import quality
        from rag_core.store.conditions import source_states

        with self._store.get().engine.connect() as connection:
            return source_states(connection), quality.latest(connection)

    def _set(self, states: list[SourceState], results: list[Latest]) -> None:
        metrics = self._metrics
        for gauge in (
            metrics.source_quality,
            metrics.source_failed,
            metrics.source_quarantined,
            metrics.source_held,
            metrics.source_listed,
        ):
            gauge.clear()
        for state in states:
            metrics.source_quarantined.labels(state.name).set(state.quarantined)
            metrics.source_held.labels(state.name).set(state.held_deletions)
            if state.listed_at is not None:
                metrics.source_listed.labels(state.name).set(state.listed_at.timestamp())
        for result in results:
            metrics.source_quality.labels(result.source).set(result.score)
            metrics.source_failed.labels(result.source).set(result.failed)
