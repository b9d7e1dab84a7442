"""Numbers about the sources as metrics, read from the database beside the calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from query_server.metrics import Metrics
from query_server.parts import LazyStore
from query_server.polling import Poller

if TYPE_CHECKING:
    from rag_core.store.conditions import SourceState
    from rag_core.store.quality import Latest
    from rag_core.store.runs import Stage

INTERVAL_SECONDS = 30.0
OUTCOMES = ("added", "updated", "unchanged", "deleted", "quarantined", "skipped")


@dataclass(frozen=True, slots=True)
class Readings:
    """What one reading found; `alerts` are the open ones by kind and severity."""

    states: list[SourceState]
    quality: list[Latest]
    stages: list[Stage]
    alerts: dict[tuple[str, str], int]


class SourceGauges:
    """Refreshes the gauges every 30 s. While the database is down they keep their values."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self.poller = Poller("source gauges", self._read, self._set, seconds=INTERVAL_SECONDS)

    def _read(self) -> Readings:
        # Imported here: SQLAlchemy takes as long to load as the rest of the server, and queries do without it.
        from rag_core.store import alerts, quality, runs
        from rag_core.store.conditions import source_states

        with self._store.get().engine.connect() as connection:
            return Readings(
                source_states(connection),
                quality.latest(connection),
                runs.latest(connection),
                alerts.count_open(connection),
            )

    def _set(self, found: Readings) -> None:
        """Sources that are gone lose their series."""
        metrics = self._metrics
        for gauge in (
            metrics.source_quality,
            metrics.source_failed,
            metrics.source_quarantined,
            metrics.source_held,
            metrics.source_listed,
            metrics.source_run_inputs,
            metrics.source_run_seconds,
            metrics.alerts,
        ):
            gauge.clear()
        for state in found.states:
            metrics.source_quarantined.labels(state.name).set(state.quarantined)
            metrics.source_held.labels(state.name).set(state.held_deletions)
            if state.listed_at is not None:
                metrics.source_listed.labels(state.name).set(state.listed_at.timestamp())
        for result in found.quality:
            metrics.source_quality.labels(result.source).set(result.score)
            metrics.source_failed.labels(result.source).set(result.failed)
        for stage in found.stages:
            self._set_stage(stage)
        for (kind, severity), count in found.alerts.items():
            metrics.alerts.labels(kind, severity).set(count)

    def _set_stage(self, stage: Stage) -> None:
        self._metrics.source_run_seconds.labels(stage.source, stage.stage).set(stage.seconds)
        if stage.stage == "documents":
            for outcome in OUTCOMES:
                self._metrics.source_run_inputs.labels(stage.source, outcome).set(stage.counts.get(outcome, 0))
