"""Maintenance as assets, so that the UI plots what was removed."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from datetime import UTC, datetime, timedelta

import dagster as dg

from rag_assets.lib.failures import RETRY, typed_failures
from rag_core.alerts import store as alerts
from rag_core.evaluation import feedback_store, question_store, run_store
from rag_core.pipeline import Pipeline, purge_listings, purge_unused
from rag_core.quality import store as quality

GROUP = "maintenance"
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE = 100


@dg.asset(key_prefix=GROUP, group_name=GROUP, kinds={"dagster"}, retry_policy=RETRY)
def event_log_retention(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    """Deletes finished runs and their events after `RAG_EVENT_RETENTION_DAYS`; Dagster itself keeps them for ever."""
    with typed_failures():
        days = pipeline.settings.event_retention_days
        deleted = purge_runs(context.instance, days=days)
    return dg.MaterializeResult(metadata={"deleted_runs": deleted, "days": days})


@dg.asset(key_prefix=GROUP, group_name=GROUP, kinds={"postgres"}, retry_policy=RETRY)
def unused_rows(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Deletes chunks and vectors that no index generation can need any more, and listings that no run will use."""
    with typed_failures():
        listings = purge_listings(pipeline.store)
        return dg.MaterializeResult(metadata={"listings": listings, **purge_unused(pipeline.store)})


@dg.asset(key_prefix=GROUP, group_name=GROUP, kinds={"postgres"}, retry_policy=RETRY)
def old_results(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Deletes old quality results, ended alerts, evaluations and feedback; what runs compare with stays.

    Each has its setting: `RAG_EVENT_RETENTION_DAYS`, `RAG_EVALUATION_RETENTION_DAYS`, `RAG_FEEDBACK_RETENTION_DAYS`.
    """
    settings = pipeline.settings
    with typed_failures(), pipeline.store.engine.begin() as connection:
        days, feedback_days = settings.event_retention_days, settings.feedback_retention_days
        deleted = {
            "quality": quality.purge(connection, days=days),
            "alerts": alerts.purge(connection, days=days),
            "evaluations": run_store.purge(connection, days=settings.evaluation_retention_days),
            "ratings": feedback_store.purge(connection, days=feedback_days),
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
