"""Values polled from the database: gauges about sources, and the moment up to which the index is current."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import Poller
from rag_core.content import quality
from rag_core.governance import audit, directories
from rag_core.ingestion import alerts, generations, pipeline, source_status

if TYPE_CHECKING:
    from rag_core.content.quality import Latest
    from rag_core.governance.audit import DeliveryFigures
    from rag_core.ingestion.alerts import SourceAlertState
    from rag_core.ingestion.generations import DocumentTotals
    from rag_core.ingestion.pipeline import Stage


# --------------------------------------------------------------------------------------------------------------------
# Metrics about the sources, polled from the database.


INTERVAL_SECONDS = 30.0
OUTCOMES = ("added", "updated", "unchanged", "deleted", "quarantined", "skipped")


@dataclass(frozen=True, slots=True)
class Readings:
    """Result of one poll; `alerts` are the open ones by kind and severity."""

    states: list[SourceAlertState]
    quality: list[Latest]
    stages: list[Stage]
    alerts: dict[tuple[str, str], int]
    conditions: list[tuple[str, str]] = field(default_factory=list)
    """Name and state of each source."""
    delivery: DeliveryFigures | None = None


class SourceGauges:
    """Refreshes the gauges every 30 s. While the database is down they keep their values."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._shown: Readings | None = None
        self.poller = Poller("source gauges", self._read, self._set, seconds=INTERVAL_SECONDS, share=MAX_SHARE)

    def _read(self) -> Readings:
        with self._store.get().engine.connect() as connection:
            return Readings(
                alerts.source_states(connection),
                quality.store.latest(connection),
                pipeline.run_store.latest(connection),
                alerts.store.count_open(connection),
                [(report.counts.name, str(report.status.state)) for _, report in source_status.read_all(connection)],
                audit.deployment_store.delivery_figures(connection),
            )

    def _set(self, found: Readings) -> None:
        """Sources that are gone lose their series. What is shown is not set again: answers would wait for the thirteen
        thousand series of a thousand sources."""
        if found == self._shown:
            return
        metrics, self._shown = self._metrics, found
        for gauge in (
            metrics.source_quality,
            metrics.source_failed,
            metrics.source_quarantined,
            metrics.source_held,
            metrics.source_listed,
            metrics.source_state,
            metrics.source_run_inputs,
            metrics.source_run_seconds,
            metrics.alerts,
            metrics.deployments,
            metrics.deployment_lead,
            metrics.deployment_restore,
        ):
            gauge.clear()
        for state in found.states:
            metrics.source_quarantined.labels(state.name).set(state.quarantined)
            metrics.source_held.labels(state.name).set(state.held_deletions)
            if state.listed_at is not None:
                metrics.source_listed.labels(state.name).set(state.listed_at.timestamp())
        for name, condition in found.conditions:
            metrics.source_state.labels(name, condition).set(1)
        for result in found.quality:
            metrics.source_quality.labels(result.source).set(result.score)
            metrics.source_failed.labels(result.source).set(result.failed)
        for stage in found.stages:
            self._set_stage(stage)
        for (kind, severity), count in found.alerts.items():
            metrics.alerts.labels(kind, severity).set(count)
        if found.delivery is not None:
            self._set_delivery(found.delivery)

    def _set_delivery(self, found: DeliveryFigures) -> None:
        """Without a deployment of the kind there is no time, and so no series."""
        metrics = self._metrics
        for outcome, number in found.outcomes.items():
            metrics.deployments.labels(outcome).set(number)
        if found.lead_seconds is not None:
            metrics.deployment_lead.labels("done").set(found.lead_seconds)
        if found.restore_seconds is not None:
            metrics.deployment_restore.labels("rolled_back").set(found.restore_seconds)

    def _set_stage(self, stage: Stage) -> None:
        self._metrics.source_run_seconds.labels(stage.source, stage.stage).set(stage.seconds)
        if stage.stage == "documents":
            for outcome in OUTCOMES:
                self._metrics.source_run_inputs.labels(stage.source, outcome).set(stage.counts.get(outcome, 0))


# --------------------------------------------------------------------------------------------------------------------
# How much of the documents each index generation holds, as metrics.


GENERATION_SECONDS = 60.0
GENERATION_SHARE = 0.02
"""Part of the time that the counting may take: it reads every document, so a large installation is asked less often."""


class GenerationGauges:
    """Refreshes the gauges every minute. While the database is down they keep their values."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store = store
        self._gauges = (metrics.generation_documents, metrics.generation_pending, metrics.generation_recall)
        self.poller = Poller(
            "generation gauges", self._read, self._set, seconds=GENERATION_SECONDS, share=GENERATION_SHARE
        )

    def _read(self) -> dict[tuple[str, str], tuple[DocumentTotals, float | None]]:
        with self._store.get().engine.connect() as connection:
            totals = generations.store.document_totals(connection)
            following = generations.store.write_targets(connection)
            return {(row.name, row.state): (totals[row.name], row.recall) for row in following if row.name in totals}

    def _set(self, found: dict[tuple[str, str], tuple[DocumentTotals, float | None]]) -> None:
        """A generation that changes its state loses the series of the state before."""
        documents, pending, recall = self._gauges
        for gauge in self._gauges:
            gauge.clear()
        for labels, (totals, share) in found.items():
            documents.labels(*labels).set(totals.documents)
            pending.labels(*labels).set(totals.pending)
            if share is not None:
                recall.labels(*labels).set(share)


# --------------------------------------------------------------------------------------------------------------------
# Names in ACLs that their directory does not know.


class DirectoryGauges:
    """Refreshes the gauge every minute. While the database is down it keeps its values."""

    def __init__(self, store: LazyStore, metrics: Metrics) -> None:
        self._store, self._gauge = store, metrics.unknown_principals
        # Every document is read, as for the gauges of generations.
        self.poller = Poller(
            "directory gauges", self._read, self._set, seconds=GENERATION_SECONDS, share=GENERATION_SHARE
        )

    def _read(self) -> Counter[str]:
        found = Counter[str]()
        with self._store.get().engine.connect() as connection:
            for one in directories.list_directories(connection):
                found[one.name] += one.unknown_principals
        return found

    def _set(self, found: Counter[str]) -> None:
        """A directory that is gone loses its series."""
        self._gauge.clear()
        for name, count in found.items():
            self._gauge.labels(name).set(count)


# --------------------------------------------------------------------------------------------------------------------
# `as_of`: up to which moment the index is known to hold what was committed, for each tenant.


MAX_SHARE = 0.05
"""Share of time that the poll may keep the database busy; a large installation is polled less often."""


@dataclass(frozen=True, slots=True)
class FreshnessReading:
    """`checked` is the database's clock when it was asked; `behind` the oldest commit not yet indexed, per tenant."""

    checked: datetime
    behind: Mapping[str, datetime] = field(default_factory=dict)


class Freshness:
    """Keeps the last finding. For one event loop."""

    def __init__(self, store: LazyStore, metrics: Metrics, *, seconds: float) -> None:
        self._store = store
        self._metrics = metrics
        self._finding: FreshnessReading | None = None
        self.poller = Poller("freshness", self._read, self._take, seconds=seconds, share=MAX_SHARE)

    def as_of(self, tenant: str) -> datetime | None:
        """`None` until the database has been asked once."""
        if self._finding is None:
            return None
        return self._finding.behind.get(tenant, self._finding.checked)

    def _read(self) -> FreshnessReading:
        with self._store.get().engine.connect() as connection:
            return FreshnessReading(*generations.status_store.oldest_pending(connection))

    def _take(self, finding: FreshnessReading) -> None:
        self._finding = finding
        oldest = min(finding.behind.values(), default=finding.checked)
        self._metrics.behind.set((finding.checked - oldest).total_seconds())
