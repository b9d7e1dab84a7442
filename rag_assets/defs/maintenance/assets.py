"""Maintenance as assets, so that the UI plots what was removed."""

# No postponed annotations: Dagster reads the type of `context` at definition.

import dagster as dg

from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.retention import purge_runs
from rag_core.alerts import store as alerts
from rag_core.pipeline import Pipeline, purge_listings, purge_unused
from rag_core.quality import store as quality

GROUP = "maintenance"


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
    """Deletes quality results and ended alerts after `RAG_EVENT_RETENTION_DAYS`; what runs compare with stays."""
    with typed_failures(), pipeline.store.engine.begin() as connection:
        days = pipeline.settings.event_retention_days
        deleted = {"quality": quality.purge(connection, days=days), "alerts": alerts.purge(connection, days=days)}
    return dg.MaterializeResult(metadata=dict(deleted))
