"""The four assets of a source: each body is the scope, one call of `run_pipeline`, and its result."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg

from rag_assets.connectors import connector_context, open_connector
from rag_assets.defs.sources.checks import assess_pipeline, quality_metadata
from rag_assets.defs.sources.sensors import CHANGES, LISTING_TAG, tag_run
from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.naming import asset_key, partitions, requested_at, scope_of
from rag_assets.lib.reports import materialized, progress_to
from rag_assets.source_config import SourceConfig
from rag_core.pipeline import Pipeline, StageResult, run_pipeline
from rag_core.sources import Scope

EMBEDDING_POOL = "embedding"
"""Embedding uses every core, so runs take turns at it; its limit is set by `rag_assets.instance`."""

Decorator = Callable[[Callable[..., dg.MaterializeResult[None]]], dg.AssetsDefinition]


def source_assets(config: SourceConfig) -> list[dg.AssetsDefinition]:
    """`documents -> chunks -> embeddings -> index` of one source, in one group."""
    return [_documents(config), _chunks(config), _embeddings(config), _index(config)]


def _stage(config: SourceConfig, stage: str, after: str | None, description: str, **more: Any) -> Decorator:
    decorator: Decorator = dg.asset(
        key=asset_key(config, stage),
        deps=[asset_key(config, after)] if after else [],
        group_name=config.key,
        description=f"{description}\n\nSource `{config.name}` ({config.options.kind}) of tenant `{config.tenant}`.",
        tags={"rag/tenant": config.tenant, "rag/stage": stage},
        partitions_def=partitions(config),
        retry_policy=RETRY,
        **more,
    )
    return decorator


def _run(stage: str, context: dg.AssetExecutionContext, pipeline: Pipeline, scope: Scope, **source: Any) -> StageResult:
    return run_pipeline(pipeline, scope, stages=[stage], progress=progress_to(context), **source)[stage]


def _documents(config: SourceConfig) -> dg.AssetsDefinition:
    @_stage(config, "documents", None, "What the source holds: extracted text by document.", kinds={"postgres"})
    def documents(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.MaterializeResult[None]:
        with typed_failures():
            scope = replace(scope_of(config, context), requested_at=requested_at(config, context))
            changes = context.run.tags.get(LISTING_TAG) == CHANGES
            with open_connector(config, connector_context(config, pipeline.settings, pipeline.store)) as connector:
                result = _run("documents", context, pipeline, scope, connector=connector, changes=changes)
                tag_run(context, result.version_tag)
        return materialized(result, **result.outcomes)

    return documents


def _chunks(config: SourceConfig) -> dg.AssetsDefinition:
    @_stage(config, "chunks", "documents", "Spans of the documents that are retrieved as one.", kinds={"postgres"})
    def chunks(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
        with typed_failures():
            result = _run("chunks", context, pipeline, scope_of(config, context))
            chunker = pipeline.chunker.fingerprint
        return materialized(result, chunker=chunker)

    return chunks


def _embeddings(config: SourceConfig) -> dg.AssetsDefinition:
    kinds = {"postgres", "onnx"}

    @_stage(config, "embeddings", "chunks", "A vector for each distinct text.", kinds=kinds, pool=EMBEDDING_POOL)
    def embeddings(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.MaterializeResult[None]:
        with typed_failures():
            embedder = pipeline.embedder
            result = _run("embeddings", context, pipeline, scope_of(config, context))
        return materialized(result, embedder=embedder.fingerprint, dimensions=embedder.dimensions)

    return embeddings


def _index(config: SourceConfig) -> dg.AssetsDefinition:
    minutes = config.freshness_minutes
    policy = dg.FreshnessPolicy.time_window(timedelta(minutes=minutes)) if minutes else None

    @_stage(config, "index", "embeddings", "What searches see.", kinds={"qdrant"}, freshness_policy=policy)
    def index(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
        with typed_failures():
            generation = pipeline.ensure_generation()
            scope = scope_of(config, context)
            result = _run("index", context, pipeline, scope)
            quality = assess_pipeline(pipeline, scope)
        return materialized(result, generation=generation, **quality_metadata(quality))

    return index
