"""Numbers about the sources as metrics, read from the database beside the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.metrics import Metrics
from query_server.parts import LazyStore
from query_server.polling import Poller

if TYPE_CHECKING:
    from rag_core.store.conditions import SourceState
    from rag_core.store.quality import Latest

INTERVAL_SECONDS = 30.0


class SourceGauges:
    """Refreshes the gauges every 30 s. While the database is down they keep their values."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self.poller = Poller("source gauges", self._read, self._set, seconds=INTERVAL_SECONDS)

    def _read(self) -> tuple[list[SourceState], list[Latest]]:
        # Imported here: SQLAlchemy takes as long to load as the rest of the server, and queries do without it.
        from rag_core.store import quality
        from rag_core.store.conditions import source_states

        with self._store.get().engine.connect() as connection:
            return source_states(connection), quality.latest(connection)

    def _set(self, found: tuple[list[SourceState], list[Latest]]) -> None:
        """Sources that are gone lose their series."""
        states, results = found
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
