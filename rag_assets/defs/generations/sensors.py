"""The sensor that starts due runs of generation builds and evaluations."""

import dagster as dg

from rag_assets.defs.generations.jobs import generation_build, generation_finish
from rag_assets.lib.failures import typed_failures
from rag_assets.lib.generation_runs import report_promotion, requests
from rag_core.ingestion.pipeline import Pipeline


@dg.sensor(
    jobs=[generation_build, generation_finish],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def generation_builds(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SkipReason | list[dg.RunRequest]:
    """Start due runs: one per source shard that is pending in a new generation, then its end and the gate.

    Reports the active generation when it was promoted outside Dagster.
    Level-triggered: a lost run, or a change that arrived between runs, only means another run.
    """
    with typed_failures():
        report_promotion(pipeline, context.instance)
        wanted = requests(pipeline, context.instance)
    return wanted or dg.SkipReason("no generation is being built, or its runs are on")
