"""The quality of a source in Dagster: a score that the UI plots over the runs, and two checks."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Iterator
from typing import Any

import dagster as dg

from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.naming import asset_key, partitions, scope_of
from rag_assets.source_config import SourceConfig
from rag_core.errors import Reason
from rag_core.pipeline import Scope, assess_quality
from rag_core.pipeline.resources import Pipeline
from rag_core.quality import RULES, Assessment
from rag_core.store import quality

_DESCRIPTIONS = {
    "quality": "No source rule of severity `error` fired; those that warn are in the metadata.",
    "poison_rate": "No more inputs went to quarantine in this run than the source allows.",
}


def assess_pipeline(pipeline: Pipeline, scope: Scope) -> Assessment:
    """Judge a shard with the fingerprints of this installation's chunker and embedder."""
    embedder = pipeline.embedder
    return assess_quality(
        pipeline.store,
        scope,
        chunker=pipeline.chunker.fingerprint,
        embedder=embedder.fingerprint,
        dimensions=embedder.dimensions,
    )


def quality_metadata(found: Assessment) -> dict[str, Any]:
    """Numbers to plot: the score and what each rule that fired measured."""
    fired = {f"quality_{name}": value for name, value in {**found.warnings, **found.errors}.items()}
    return {"quality_score": found.score, "quality_failed": found.failed, **fired}


def quality_checks(config: SourceConfig) -> dg.AssetChecksDefinition:
    """`quality` and `poison_rate` on the index asset of one source, both blocking."""
    key, shards = asset_key(config, "index"), partitions(config)
    specs = [
        dg.AssetCheckSpec(name, asset=key, description=description, blocking=True, partitions_def=shards)
        for name, description in _DESCRIPTIONS.items()
    ]

    @dg.multi_asset_check(name=f"{config.key}__index__quality_checks", specs=specs, retry_policy=RETRY)
    def checks(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.AssetCheckResult]:
        with typed_failures():
            scope = scope_of(config, context)
            with pipeline.store.engine.connect() as connection:
                shard = (scope.source.tenant, scope.source.name, scope.shard)
                found = quality.of_run(connection, shard, scope.run_id)
            yield from evaluate(found or assess_pipeline(pipeline, scope), key)

    return checks


def evaluate(found: Assessment, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """The two results for one assessment."""
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="quality",
        passed=not found.errors,
        metadata=quality_metadata(found),
        description="; ".join(_explain(name, value) for name, value in found.errors.items()) or None,
    )
    problem = f"{Reason.QUALITY_THRESHOLD}: {found.failed} of {found.tried} inputs that were read went to quarantine"
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="poison_rate",
        passed=not found.exceeded,
        metadata={"failed": found.failed, "tried": found.tried},
        description=problem if found.exceeded else None,
    )


def _explain(name: str, value: float) -> str:
    return f"{name} {value:g}: {RULES[name].meaning}"
