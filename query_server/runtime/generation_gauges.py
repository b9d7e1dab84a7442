"""Metrics of the indexed and pending documents of each index generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import Poller

if TYPE_CHECKING:
    from rag_core.generations import DocumentTotals

INTERVAL_SECONDS = 60.0
MAX_SHARE = 0.02
"""Share of time that counting may take: it reads every document, so a large installation is polled less often."""


class GenerationGauges:
    """Refreshes the gauges every minute. While the database is down they keep their values."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store = store
        self._gauges = (metrics.generation_documents, metrics.generation_pending)
        self.poller = Poller("generation gauges", self._read, self._set, seconds=INTERVAL_SECONDS, share=MAX_SHARE)

    def _read(self) -> dict[tuple[str, str], DocumentTotals]:
        # Imported here: SQLAlchemy takes as long to load as the rest of the server, and queries do without it.
        from rag_core.generations import store as generations

        with self._store.get().engine.connect() as connection:
            totals = generations.document_totals(connection)
            following = generations.write_targets(connection)
            return {(row.name, row.state): totals[row.name] for row in following if row.name in totals}

    def _set(self, found: dict[tuple[str, str], DocumentTotals]) -> None:
        """A generation that changes its state loses the series of the state before."""
        documents, pending = self._gauges
        documents.clear()
        pending.clear()
        for labels, totals in found.items():
            documents.labels(*labels).set(totals.documents)
            pending.labels(*labels).set(totals.pending)
