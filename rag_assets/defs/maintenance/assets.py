"""Maintenance as assets, so that the UI plots what was removed."""

# No postponed annotations: Dagster reads the type of `context` at definition.

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from rag_assets.lib.failures import RETRY, typed_failures
from rag_core.answering.evaluation import feedback_store, question_store, run_store
from rag_core.content.quality import store as quality
from rag_core.governance.directories import purge_refused
from rag_core.governance.usage import store as usage_store
from rag_core.ingestion.alerts import store as alerts
from rag_core.ingestion.pipeline import Pipeline, purge_listings, purge_unused

GROUP = "maintenance"
MAX_COMPUTE_LOG_BYTES = 512 * 1024 * 1024
"""Limit of all runs together; one that keeps writing is found at the next day's maintenance."""
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE = 100


@dg.asset(key_prefix=GROUP, group_name=GROUP, kinds={"dagster"}, retry_policy=RETRY)
def event_log_retention(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    """Deletes finished runs, their events and output after `RAG_EVENT_RETENTION_DAYS`; Dagster keeps them for ever."""
    with typed_failures():
        days = pipeline.settings.event_retention_days
        deleted = purge_runs(context.instance, days=days)
        logs = purge_compute_logs(context.instance, days=days)
    return dg.MaterializeResult(metadata={"deleted_runs": deleted, "deleted_compute_logs": logs, "days": days})


@dg.asset(key_prefix=GROUP, group_name=GROUP, kinds={"postgres"}, retry_policy=RETRY)
def unused_rows(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Deletes chunks and vectors that no index generation can need any more, and listings that no run will use."""
    with typed_failures():
        listings = purge_listings(pipeline.store)
        return dg.MaterializeResult(metadata={"listings": listings, **purge_unused(pipeline.store)})


@dg.asset(key_prefix=GROUP, group_name=GROUP, kinds={"postgres"}, retry_policy=RETRY)
def old_results(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Deletes old quality results, ended alerts, evaluations, usage and feedback; what runs compare with stays.

    Each has its setting: `RAG_EVENT_RETENTION_DAYS`, `RAG_EVALUATION_RETENTION_DAYS`, `RAG_FEEDBACK_RETENTION_DAYS`,
    `RAG_USAGE_DAYS`. The usage of a day that is over becomes one row for each key.
    """
    with typed_failures(), pipeline.store.engine.begin() as connection:
        settings = pipeline.settings
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        oldest = yesterday - timedelta(days=settings.usage_days)
        days, feedback_days = settings.event_retention_days, settings.feedback_retention_days
        deleted = {
            "quality": quality.purge(connection, days=days),
            "alerts": alerts.purge(connection, days=days),
            "evaluations": run_store.purge(connection, days=settings.evaluation_retention_days),
            # A day more than servers write to, for clocks that differ.
            "usage": usage_store.maintain(connection, yesterday - timedelta(days=1), before=oldest),
            "refused_names": purge_refused(connection),
            "ratings": feedback_store.purge(
                connection, days=feedback_days, keep_answers=settings.feedback_answers == "plain"
            ),
            "proposed_questions": question_store.purge(connection, days=feedback_days),
        }
    return dg.MaterializeResult(metadata=dict(deleted))


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


def purge_compute_logs(
    instance: dg.DagsterInstance, *, days: int, max_bytes: int = MAX_COMPUTE_LOG_BYTES, now: float | None = None
) -> int:
    """Delete the captured output of runs after `days`, and the oldest above `max_bytes`; returns of how many runs."""
    manager: Any = instance.compute_log_manager
    if not hasattr(manager, "get_captured_local_path"):  # it keeps none on this machine
        return 0
    base = Path(manager.get_captured_local_path(["any"], "out")).parent
    folders = [path for path in base.iterdir() if path.is_dir()] if base.is_dir() else []
    written = {folder: _size(folder) for folder in folders}
    before = (now or time.time()) - days * 86_400
    total, deleted = 0, 0
    for folder in sorted(folders, key=lambda folder: written[folder][1], reverse=True):
        size, changed = written[folder]
        total += size
        run = instance.get_run_by_id(folder.name)
        if (changed >= before and total <= max_bytes) or (run is not None and not run.is_finished):
            continue
        manager.delete_logs(prefix=[folder.name])
        total -= size
        deleted += 1
    return deleted


def _size(folder: Path) -> tuple[int, float]:
    """Bytes of the files, and when the newest was written."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(file.st_size for file in files), max((file.st_mtime for file in files), default=folder.stat().st_mtime)
