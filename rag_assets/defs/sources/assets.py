"""The four assets of a source, as one multi-asset: the scope, one call of `run_pipeline`, and its results."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dagster as dg

from rag_assets.connectors import connector_context, open_connector
from rag_assets.defs.sources.checks import assess_pipeline, quality_metadata
from rag_assets.defs.sources.sensors import tag_run
from rag_assets.defs.sources.specs import UPSTREAM, stage_spec
from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.generation_runs import active_materialization
from rag_assets.lib.naming import STAGES, asset_key, partitions, requested_at, scope_of
from rag_assets.lib.reports import materialized, progress_to
from rag_assets.lib.schema_check import SchemaChecks, schema_specs
from rag_assets.source_config import SourceConfig
from rag_assets.version_tags import CHANGES, LISTING_TAG
from rag_core.content.sources import Scope
from rag_core.errors import PermissionDenied, Reason
from rag_core.ingestion.pipeline import Pipeline, StageResult, run_pipeline, sample_store

Events = Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]


def source_assets(config: SourceConfig, file: Path | None = None) -> dg.AssetsDefinition:
    """`documents -> chunks -> embeddings -> index` of one source, in one group.

    They are one step, because a run works in rounds: the first documents are in the index before the last are read.
    """

    @dg.multi_asset(
        name=f"{config.key}__rounds",
        specs=[stage_spec(config, stage, file) for stage in STAGES],
        check_specs=schema_specs(config),
        can_subset=True,
        partitions_def=partitions(config),
        retry_policy=RETRY,
    )
    def rounds(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> Events:
        with typed_failures():
            stages = [stage for stage in STAGES if asset_key(config, stage) in context.selected_asset_keys]
            scope = replace(scope_of(config, context), requested_at=requested_at(config, context))
            checked = {check.asset_key.path[-1] for check in context.selected_asset_check_keys}
            checks = SchemaChecks(pipeline, config, scope, checked)
            # The model is opened before the source is read, so that the first round does not wait for it.
            generation = pipeline.ensure_generation() if "index" in stages else ""
            results = _run(config, context, pipeline, scope, stages, checks)
            _require_egress(results)
            more = _metadata(pipeline, scope, results, generation)
            active = None
            if "index" in results:  # the end of the lineage changed with the run
                active = active_materialization(pipeline, context.instance, source=scope.source.name)
        for stage, result in results.items():
            yield materialized(result, asset_key(config, stage), **more[stage])
        yield from checks.results()
        if "documents" in results:
            items = {"items": results["documents"].counts.get("read", 0)}
            context.log_event(dg.AssetObservation(asset_key(config, UPSTREAM), metadata=items))
        if active is not None:
            context.log_event(active)

    return rounds


def _run(
    config: SourceConfig,
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    scope: Scope,
    stages: list[str],
    checks: SchemaChecks,
) -> dict[str, StageResult]:
    progress = progress_to(context)
    if "documents" not in stages:
        return run_pipeline(pipeline, scope, stages=stages, progress=progress, check=checks.check)
    changes = context.run.tags.get(LISTING_TAG) == CHANGES
    with open_connector(config, connector_context(config, pipeline.settings, pipeline.store)) as connector:
        results = run_pipeline(
            pipeline,
            scope,
            stages=stages,
            connector=connector,
            changes=changes,
            progress=progress,
            check=checks.check,
        )
    if "documents" in results:
        tag_run(context, results["documents"].version_tag)
    return results


def _require_egress(results: Mapping[str, StageResult]) -> None:
    """Fail a run whose text may not go to the embedding model, once all that needs no vector is done."""
    embedded = results.get("embeddings")
    if embedded is not None and embedded.problem == Reason.EGRESS_FORBIDDEN:
        raise PermissionDenied(Reason.EGRESS_FORBIDDEN, embedded.message or "")


def _metadata(
    pipeline: Pipeline, scope: Scope, results: Mapping[str, StageResult], generation: str
) -> dict[str, dict[str, Any]]:
    """Return what the assets report beside the counts of their stages."""
    more: dict[str, dict[str, Any]] = {stage: dict(result.outcomes) for stage, result in results.items()}
    for stage, count in asdict(sample_store.row_counts(pipeline.store, scope, pipeline.chunker.fingerprint)).items():
        if stage in more:
            more[stage]["dagster/row_count"] = count
    if "chunks" in results:
        more["chunks"]["chunker"] = pipeline.chunker.fingerprint
    if "embeddings" in results:
        more["embeddings"] |= {
            "embedder": pipeline.embedder.fingerprint,
            "dimensions": pipeline.embedder.dimensions,
        }
    if "index" in results:
        more["index"] |= {"generation": generation, **quality_metadata(assess_pipeline(pipeline, scope))}
    return more
