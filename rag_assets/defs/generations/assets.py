"""Assets of the life cycle of an index generation: build, evaluate, promote, retire.

`index_generation_shards` (a partition per generation and source shard) are filled by independent runs,
`index_generation` (a partition per generation) ends the build and is evaluated by blocking checks,
`active_index_generation` promotes the generation whose partition is materialized.
"""

# No postponed annotations: Dagster reads the type of `context` and `config` at definition.

from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg

from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.generation_runs import GENERATIONS, GROUP, SHARDS, parse_shard_key
from rag_assets.lib.reports import progress_to
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.promotion import (
    CHECKS,
    BuildReport,
    build,
    evaluate,
    promote,
    promote_successor,
    retire_expired,
)

_DESCRIPTIONS = {
    "parity": "Every current chunk is in the index exactly once, with the payload and vector of its row.",
    "recall": "Searches by the graph find what exact search finds.",
    "coverage": "All text of every document is in some chunk.",
    "vectors": "Dimensions agree, and stored vectors are what the embedder gives for their texts.",
    "retrieval": "On the golden sets it is not worse than the active generation.",
    "answers": "Your own questions are not answered worse than in the active generation.",
    "latency": "Searches take no more than twice as long as in the active generation.",
    "size": "It is not several times as large as the active generation.",
}


class PromoteConfig(dg.Config):
    """`override` is the reason for promoting a generation that the gate refused; empty does not override."""

    override: str = ""


@dg.asset(group_name=GROUP, kinds={"qdrant"}, partitions_def=SHARDS, retry_policy=RETRY)
def index_generation_shards(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    """One source shard in a generation that is being built, paced so that searches stay quick."""
    with typed_failures():
        name, shard = parse_shard_key(context.partition_key)
        transforms, settings = _transforms(pipeline, name), pipeline.settings
        report = build(
            pipeline.store, pipeline.index, transforms, name, settings, shards=[shard], progress=progress_to(context)
        )
    return _built(report)


@dg.asset(
    group_name=GROUP,
    kinds={"qdrant"},
    partitions_def=GENERATIONS,
    deps=[dg.AssetDep(index_generation_shards, partition_mapping=dg.AllPartitionMapping())],
    retry_policy=RETRY,
)
def index_generation(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    """A complete index made with one embedder and one chunker, ready to be evaluated."""
    name = context.partition_key
    with typed_failures():
        transforms, settings = _transforms(pipeline, name), pipeline.settings
        report = build(pipeline.store, pipeline.index, transforms, name, settings, progress=progress_to(context))
        with pipeline.store.engine.connect() as connection:
            row, totals = generations.get(connection, name), generations.document_totals(connection)[name]
        points = pipeline.index.count(name)
    return dg.MaterializeResult(
        metadata={
            **asdict(report),
            "documents_held": totals.documents,
            "points": points,
            "started_by": row.actor,
            "reason": row.reason,
            "settings": dg.MetadataValue.json(row.settings),
        }
    )


@dg.multi_asset_check(
    name="index_generation_gate",
    specs=[
        dg.AssetCheckSpec(name, asset=index_generation, description=_DESCRIPTIONS[name], blocking=True)
        for name in CHECKS
    ],
)
def index_generation_gate(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """The promotion gate. Its figures are stored with the generation too, where a promotion reads them.

    The successor of a generation that cannot be computed any more is promoted at once when it passes.
    """
    with typed_failures():
        name = context.run.tags["dagster/partition"]
        settings = pipeline.settings
        actor = f"dagster:{context.run.run_id[:8]}"
        evaluation = evaluate(pipeline.store, pipeline.index, pipeline.transform_registry, name, settings, actor=actor)
        promoted = promote_successor(pipeline.store, pipeline.index, name, settings, actor=actor)
    if promoted is not None:
        context.log.info(f"readers moved to {name}: {promoted.before} cannot be computed any more")
    for check in evaluation.checks:
        yield dg.AssetCheckResult(
            asset_key=index_generation.key,
            check_name=check.name,
            passed=check.passed,
            description=check.detail,
            metadata={"generation": name, "baseline": evaluation.baseline or "", **check.figures},
        )


@dg.asset(group_name=GROUP, kinds={"qdrant"}, partitions_def=GENERATIONS, deps=[index_generation])
def active_index_generation(
    context: dg.AssetExecutionContext, config: PromoteConfig, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult[None]:
    """The active generation. Materializing a partition promotes that generation, when the gate passed it."""
    with typed_failures():
        promotion = promote(
            pipeline.store,
            pipeline.index,
            context.partition_key,
            pipeline.settings,
            actor=f"dagster:{context.run.run_id[:8]}",
            override=config.override,
        )
    return dg.MaterializeResult(metadata={**asdict(promotion), "before": promotion.before or ""})


@dg.asset(key_prefix="maintenance", group_name="maintenance", kinds={"qdrant"}, retry_policy=RETRY)
def retired_generations(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
    """Ends generations whose grace period is over, and frees their files."""
    with typed_failures():
        names = retire_expired(pipeline.store, pipeline.index)
    return dg.MaterializeResult(metadata={"retired": len(names), "names": ", ".join(names)})


def _transforms(pipeline: Pipeline, name: str) -> Transforms:
    with pipeline.store.engine.connect() as connection:
        return pipeline.transform_registry.for_generation(generations.get(connection, name))


def _built(report: BuildReport) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata=asdict(report))
