"""Stream results as runless materializations: a summary per stream and interval, never an event per document.

And in return what Dagster did, as metrics of the worker."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

import dagster as dg

from rag_core.logging import get_logger

if TYPE_CHECKING:
    from rag_assets.stream_worker.metrics import StreamMetrics
    from rag_assets.stream_worker.worker import Worker

log = get_logger(__name__)
PREFIX = "stream"
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_READ = 100
"""Number of finished runs of which the newest of each job is shown: a job that ended long ago loses its series."""


def stream_key(name: str) -> dg.AssetKey:
    """The asset of a stream: `stream/inbox`, `stream/<source>`."""
    return dg.AssetKey([PREFIX, name.removeprefix("kafka:").replace("-", "_")])


class Reporter:
    """Reports from a thread of its own, so that a slow Dagster never slows a stream down."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._seen: dict[str, Counter[str]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _run(self) -> None:
        instance: dg.DagsterInstance | None = None
        while True:
            last = self._stopping.wait(self._worker.settings.stream_report_seconds)
            try:
                instance = instance or dg.DagsterInstance.get()
                self.report(instance)
                read_runs(instance, self._worker.metrics)
            except Exception as error:
                # Dagster's own state is not ours: the next summary carries what this one would have.
                log.warning("report_postponed", problem=type(error).__name__)
            if last:
                break
        if instance is not None:
            instance.dispose()

    def report(self, instance: dg.DagsterInstance) -> int:
        """One materialization for each stream that did something since the last, and the summary of each listed source;
        returns how many streams and sources there were."""
        reported = 0
        for name, consumer_loop in list(self._worker.loops.items()):
            now = Counter(consumer_loop.counts)
            new = now - self._seen.get(name, Counter())
            if not new:
                continue
            metadata: dict[str, str | int] = {
                "state": consumer_loop.state,
                "lag": consumer_loop.source.lag().messages,
                **new,
            }
            instance.report_runless_asset_event(dg.AssetMaterialization(stream_key(name), metadata=metadata))
            self._seen[name] = now
            reported += 1
        return reported + self._report_listed(instance)

    def _report_listed(self, instance: dg.DagsterInstance) -> int:
        observer, pipeline = self._worker.observer, self._worker.pipeline
        if observer is None or pipeline is None:
            return 0
        # Here: what checks need is loaded by a process that reports, and by no other worker.
        from rag_assets.stream_worker.listed import reports

        return reports.report(pipeline, instance, observer.sources)


def read_runs(instance: dg.DagsterInstance, metrics: StreamMetrics) -> None:
    """Set the gauges to what Dagster's storage holds now."""
    for status in dg.DagsterRunStatus:
        count = instance.get_runs_count(dg.RunsFilter(statuses=[status]))
        metrics.runs.labels(status.value.lower()).set(count)
    newest: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(dg.RunsFilter(statuses=_FINISHED), limit=_READ):
        newest.setdefault(record.dagster_run.job_name, record)
    metrics.run_seconds.clear()
    metrics.run_failed.clear()
    for job, record in newest.items():
        failed = record.dagster_run.status is dg.DagsterRunStatus.FAILURE
        metrics.run_failed.labels(job).set(failed)
        if record.start_time and record.end_time:
            metrics.run_seconds.labels(job).set(record.end_time - record.start_time)
    for daemon, heartbeat in instance.get_daemon_statuses().items():
        if heartbeat.last_heartbeat is not None:
            metrics.daemon_beat.labels(daemon.lower()).set(heartbeat.last_heartbeat.timestamp)
