"""The sensor that starts a drain when changes wait and no stream worker is alive."""

import dagster as dg

from rag_assets.defs.streams.jobs import JOB
from rag_assets.lib.failures import typed_failures
from rag_assets.stream_worker.waiting import pending_streams
from rag_core.ingestion.pipeline import Pipeline

SENSOR_SECONDS = 30


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts `stream_drain` when changes wait and no stream worker is alive to take them.",
)
def stream_lag(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SkipReason | dg.RunRequest:
    """Level-triggered: it remembers nothing, so nothing can be forgotten."""
    with typed_failures():
        waiting = pending_streams(pipeline)
    if waiting.workers:
        return dg.SkipReason(f"{len(waiting.workers)} worker(s) alive; {waiting.total} changes wait")
    if not waiting.total:
        return dg.SkipReason("nothing waits")
    latest = context.instance.get_runs(dg.RunsFilter(job_name=JOB), limit=1)
    if latest and not latest[0].is_finished:
        return dg.SkipReason("a drain run is queued or in progress")
    return dg.RunRequest(tags={"rag/waiting": str(waiting.total)})
