"""Jobs of index generations."""

# No postponed annotations: Dagster reads the type of `context` and `config` at definition.

import dagster as dg

from rag_assets.lib.failures import typed_failures
from rag_assets.lib.generation_runs import BUILD_JOB, FINISH_JOB, GENERATION_TAG
from rag_core.ingestion.generations import changed
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.promotion import declare, forecast, retire, rollback

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


class DeclareConfig(dg.Config):
    """Configuration of a build: `changes` are settings that differ from this installation's (`chunk_tokens: "300"`).

    `confirmed` agrees to a build above the limits; without it such a run ends with the forecast and builds nothing.
    """

    changes: dict[str, str] = {}  # noqa: RUF012  Dagster's configs are pydantic models
    name: str = ""
    reason: str = ""
    confirmed: bool = False


class RollbackConfig(dg.Config):
    """`reason` is kept in the audit."""

    reason: str = ""


class RetireConfig(dg.Config):
    """`now` ends a generation within its grace period too; `reason` is kept in the audit."""

    generation: str
    reason: str = ""
    now: bool = False


@dg.op
def declare_generation(
    context: dg.OpExecutionContext, config: DeclareConfig, pipeline: dg.ResourceParam[Pipeline]
) -> None:
    """Forecast a build and declare the generation; the sensor starts its runs."""
    with typed_failures():
        transforms = pipeline.transform_registry.for_settings(changed(pipeline.settings, config.changes))
        expected = forecast(pipeline.store, transforms, pipeline.settings)
        context.log.info(f"forecast: {expected.to_json()}")
        expected.require_consent(pipeline.settings, consent=config.confirmed)
        row = declare(
            pipeline.store,
            pipeline.index,
            transforms,
            name=config.name or None,
            actor=_actor(context),
            reason=config.reason,
        )
    context.add_output_metadata({"generation": row.name, **expected.to_json()})


@dg.op
def roll_back(context: dg.OpExecutionContext, config: RollbackConfig, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Roll back to the previous generation."""
    with typed_failures():
        index, settings = pipeline.index, pipeline.settings
        promotion = rollback(pipeline.store, index, settings, actor=_actor(context), reason=config.reason)
    context.log.info(f"readers are on {promotion.active}, before on {promotion.before}; {promotion.seconds:.2f} s")


@dg.op
def retire_generation(
    context: dg.OpExecutionContext, config: RetireConfig, pipeline: dg.ResourceParam[Pipeline]
) -> None:
    """Retire a generation that is not active."""
    with typed_failures():
        name, reason = config.generation, config.reason
        retire(pipeline.store, pipeline.index, name, actor=_actor(context), reason=reason, now=config.now)


@dg.job(executor_def=dg.in_process_executor)
def generation_declare() -> None:
    """Begin a generation with another model or chunker; the sensor `generation_builds` builds and evaluates it."""
    declare_generation()


@dg.job(executor_def=dg.in_process_executor)
def generation_rollback() -> None:
    """Roll back to the previous generation. It was kept up to date, so nothing is lost."""
    roll_back()


@dg.job(executor_def=dg.in_process_executor)
def generation_retire() -> None:
    """Retire a generation that is not active: its files are deleted, its row stays as history."""
    retire_generation()


def _actor(context: dg.OpExecutionContext) -> str:
    return f"dagster:{context.run.run_id[:8]}"
