"""The push inbox as an external asset, and what happens when nobody consumes the streams.

A worker (`rag stream`) reports to the assets, a summary per interval. When none is alive and something waits, the
sensor starts a run that drains what is there: slower, and nothing is lost or forgotten.
"""

# No postponed annotations: Dagster reads the type of `context` at definition.

import dagster as dg

from rag_assets.lib.failures import typed_failures
from rag_assets.stream.drain import drain
from rag_assets.stream.report import stream_key
from rag_assets.stream.waiting import waiting_streams
from rag_core.pipeline.resources import Pipeline

GROUP = "streams"
JOB = "stream_drain"
SENSOR_SECONDS = 30

inbox = dg.AssetSpec(
    stream_key("inbox"),
    group_name=GROUP,
    description="Documents pushed by the API, applied by the stream worker.",
    kinds={"postgres"},
)


@dg.op(description="Applies what waits in the streams now, with the functions that the worker uses.")
def drain_streams(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """One bounded pass; a materialization for each stream that had something."""
    with typed_failures():
        counts = drain(pipeline)
    for name, count in counts.items():
        if count:
            metadata: dict[str, str | int] = {"applied": count, "by": "drain run"}
            context.log_event(dg.AssetMaterialization(stream_key(name), metadata=metadata))


@dg.job(name=JOB, executor_def=dg.in_process_executor, tags={"rag/source": "streams"})
def stream_drain() -> None:
    """Drain every stream once."""
    drain_streams()


def stream_definitions() -> dg.Definitions:
    """What every installation has beside its sources."""
    return dg.Definitions(assets=[inbox], jobs=[stream_drain], sensors=[_lag_sensor()])


def _lag_sensor() -> dg.SensorDefinition:
    @dg.sensor(
        name="stream_lag",
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
            waiting = waiting_streams(pipeline)
        if waiting.workers:
            return dg.SkipReason(f"{len(waiting.workers)} worker(s) alive; {waiting.total} changes wait")
        if not waiting.total:
            return dg.SkipReason("nothing waits")
        latest = context.instance.get_runs(dg.RunsFilter(job_name=JOB), limit=1)
        if latest and not latest[0].is_finished:
            return dg.SkipReason("a drain run is queued or in progress")
        return dg.RunRequest(tags={"rag/waiting": str(waiting.total)})

    return stream_lag
