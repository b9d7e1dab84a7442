"""The reconcile schedule of a source."""

from __future__ import annotations

import dagster as dg

from rag_assets.defs.sources.jobs import AssetJob
from rag_assets.defs.sources.sensors import closed_tenant
from rag_assets.lib.failures import typed_failures
from rag_assets.lib.naming import partition_keys
from rag_assets.source_config import SourceConfig
from rag_core.ingestion.pipeline import Pipeline


def reconcile_schedule(config: SourceConfig, job: AssetJob) -> dg.ScheduleDefinition | None:
    """A run of every shard at the configured time, whatever the sensor saw; `None` when there is none."""
    if config.schedule is None:
        return None
    shards = partition_keys(config)
    status = dg.DefaultScheduleStatus.RUNNING if config.enabled else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=f"{config.key}_reconcile",
        job=job,
        cron_schedule=config.schedule.cron,
        execution_timezone=config.schedule.timezone,
        default_status=status,
        description=f"Compares the whole source `{config.name}` with the stored documents.",
    )
    def reconcile(
        context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SkipReason | list[dg.RunRequest]:
        with typed_failures():
            if closed := closed_tenant(config, pipeline):
                return closed
        tick = context.scheduled_execution_time.isoformat()
        return [dg.RunRequest(run_key=f"{tick}/{shard}", partition_key=shard) for shard in shards]

    return reconcile
