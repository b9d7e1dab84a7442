"""Dagster's runs and daemons as metrics. Dagster exports none of its own; the worker reports to it anyway."""

from __future__ import annotations

import dagster as dg

from rag_assets.stream_worker.metrics import StreamMetrics

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_READ = 100
"""Of so many finished runs the newest of each job is shown: a job that has not ended lately loses its series."""


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
