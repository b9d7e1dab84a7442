"""Jobs and the sensor of index generations."""

# No postponed annotations: Dagster reads the type of `context` and `config` at definition.

import dagster as dg

from rag_assets.lib.failures import typed_failures
from rag_assets.lib.generations import BUILD_JOB, FINISH_JOB, GENERATION_TAG, requests
from rag_core.generations import rollback
from rag_core.pipeline.resources import Pipeline

generation_build = dg.define_asset_job(
    BUILD_JOB,
    selection=dg.AssetSelection.assets("index_generation_shards"),
    description="Fill one source shard of a generation that is being built.",
    tags={GENERATION_TAG: "any"},
    executor_def=dg.in_process_executor,
)
generation_finish = dg.define_asset_job(
    FINISH_JOB,
    selection=dg.AssetSelection.assets("index_generation"),
    description="End the build of a generation and run the gate on it.",
    tags={GENERATION_TAG: "any"},
    executor_def=dg.in_process_executor,
)
generation_promote = dg.define_asset_job(
    "generation_promote",
    selection=dg.AssetSelection.assets("active_index_generation"),
    description="Move readers to a generation that the gate passed (config: `override` with a reason if it did not).",
    executor_def=dg.in_process_executor,
)


class RollbackConfig(dg.Config):
    """`reason` is kept in the audit."""

    reason: str = ""


@dg.op
def roll_back(context: dg.OpExecutionContext, config: RollbackConfig, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Move readers back to the generation they were on before."""
    with typed_failures():
        actor = f"dagster:{context.run.run_id[:8]}"
        moved = rollback(pipeline.store, pipeline.index, pipeline.settings, actor=actor, reason=config.reason)
    context.log.info(f"readers are on {moved.active}, before on {moved.before}; {moved.seconds:.2f} s")


@dg.job(executor_def=dg.in_process_executor)
def generation_rollback() -> None:
    """Move readers back to the generation they were on before. It was kept up to date, so nothing is lost."""
    roll_back()


@dg.sensor(
    jobs=[generation_build, generation_finish],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def generation_builds(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SkipReason | list[dg.RunRequest]:
    """Starts what the rows ask for: a run per source shard that a new generation lacks, then its end and the gate.

    Level-triggered: a lost run, or a change that arrived while no run looked, only means another run.
    """
    return requests(pipeline, context.instance) or dg.SkipReason("no generation is being built, or its runs are on")
