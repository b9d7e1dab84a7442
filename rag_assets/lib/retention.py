"""Retention of Dagster's event log: remove finished runs with their events after a number of days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE = 100


def purge_runs(instance: dg.DagsterInstance, *, days: int, now: datetime | None = None) -> int:
    """Delete finished runs older than `days`, except the newest of each job, partition and outcome; returns how many.

    The newest stays because its events are what the UI knows of an asset: its last materialization and its checks.
    """
    before = (now or datetime.now(UTC)) - timedelta(days=days)
    filters = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    kept, deleted = None, 0
    # The cursor must be a run that still exists: the last one kept.
    while page := instance.get_run_records(filters, limit=_PAGE, cursor=kept, ascending=True):
        for run in (record.dagster_run for record in page):
            if _is_newest(instance, run):
                kept = run.run_id
            else:
                instance.delete_run(run.run_id)
                deleted += 1
    return deleted


def _is_newest(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    partition = run.tags.get("dagster/partition")
    tags = {"dagster/partition": partition} if partition else {}
    newest = instance.get_runs(dg.RunsFilter(job_name=run.job_name, statuses=[run.status], tags=tags), limit=1)
    return bool(newest) and newest[0].run_id == run.run_id
