"""Dagster definitions of a Kafka source: an external asset; with `consume: batch` also a job, schedule and sensor."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from pathlib import Path

import dagster as dg

from rag_assets.defs.sources.jobs import job_tags
from rag_assets.defs.sources.schedules import reconcile_schedule
from rag_assets.defs.sources.specs import code_references
from rag_assets.lib.failures import typed_failures
from rag_assets.lib.naming import TENANT_TAG, job_name
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.drain import drain
from rag_assets.stream_worker.report import stream_key
from rag_assets.stream_worker.waiting import topic_lag
from rag_core.ingestion.pipeline import Pipeline


def kafka_definitions(config: SourceConfig, file: Path | None = None) -> dg.Definitions:
    """The definitions of one topic. A topic has no listing, so there is no chain of stages to run one after the other:
    worker and runs alike take micro-batches through all of them."""
    spec = dg.AssetSpec(
        stream_key(config.key),
        group_name=config.group,
        description=f"Topic of source `{config.name}` of tenant `{config.tenant}`, by the stream worker or drain runs.",
        tags={TENANT_TAG: config.tenant},
        kinds={"kafka"},
        owners=config.owners,
        metadata={"location": config.options.location, **code_references(file)},
    )
    if not config.has_runs:
        return dg.Definitions(assets=[spec])
    job = _job(config)
    sensor, schedule = _sensor(config, job), reconcile_schedule(config, job)
    return dg.Definitions(
        assets=[spec], jobs=[job], sensors=[sensor] if sensor else [], schedules=[schedule] if schedule else []
    )


def _job(config: SourceConfig) -> dg.JobDefinition:
    @dg.op(name=f"{config.key}_drain", description=f"Applies what waits in the topic of source `{config.name}`.")
    def drain_topic(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
        with typed_failures():
            counts = drain(pipeline, names=[f"kafka:{config.name}"])
        metadata = {"applied": sum(counts.values())}
        context.log_event(dg.AssetMaterialization(stream_key(config.key), metadata=metadata))

    @dg.job(name=job_name(config), executor_def=dg.in_process_executor, tags=job_tags(config))
    def sync() -> None:
        drain_topic()

    return sync


def _sensor(config: SourceConfig, job: dg.JobDefinition) -> dg.SensorDefinition | None:
    if config.sensor is None:
        return None
    status = dg.DefaultSensorStatus.RUNNING if config.enabled else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=f"{config.key}_changes",
        job_name=job.name,
        minimum_interval_seconds=config.sensor.interval_seconds,
        default_status=status,
        description=f"Starts `{job.name}` when messages wait in the topic of source `{config.name}`.",
    )
    def changes(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SkipReason | dg.RunRequest:
        latest = context.instance.get_runs(dg.RunsFilter(job_name=job.name), limit=1)
        if latest and not latest[0].is_finished:
            return dg.SkipReason("a run of this source is queued or in progress")
        with typed_failures():
            waiting = topic_lag(pipeline.store, config, pipeline.settings)
        return dg.RunRequest(tags={"rag/waiting": str(waiting)}) if waiting else dg.SkipReason("nothing waits")

    return changes
