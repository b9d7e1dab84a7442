"""Report to Dagster, without a run, what a worker brought in of listed sources: the assets and checks of a run.

One summary of each source and interval. The checks `schema` are not among them: a worker does not load their library,
and the pipeline refuses such rows itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from rag_assets.defs.sources.checks import assess_pipeline, evaluate, evaluate_quality, quality_metadata
from rag_assets.defs.sources.specs import UPSTREAM
from rag_assets.lib.generation_runs import active_materialization
from rag_assets.lib.naming import asset_key
from rag_assets.lib.reports import materialized
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.listed.observed import BroughtIn, ObservedSource
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline, StageResult

Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation
WARNING_CHECKS = frozenset({"index_parity"})


def report(pipeline: Pipeline, instance: dg.DagsterInstance, sources: Sequence[ObservedSource]) -> int:
    """Report what was brought in since the last report; returns how many sources had something.

    What cannot be reported now is reported by the next call.
    """
    reported = 0
    for one in sources:
        if brought_in := list(one.brought_in):
            for event in _events(pipeline, one.config, brought_in):
                instance.report_runless_asset_event(event)
            for _ in brought_in:
                one.brought_in.popleft()
            reported += 1
    active = active_materialization(pipeline, instance, by="stream worker") if reported else None
    if active is not None:
        instance.report_runless_asset_event(active)
    return reported


def _events(pipeline: Pipeline, config: SourceConfig, brought_in: Sequence[BroughtIn]) -> Iterator[Event]:
    scope = brought_in[-1].scope
    quality = assess_pipeline(pipeline, scope)
    more = _metadata(pipeline, brought_in[-1]) | {"times": len(brought_in), "by": "stream worker"}
    for stage, result in _sum(brought_in).items():
        extra = more | (quality_metadata(quality) if stage == "index" else {})
        yield _materialization(materialized(result, asset_key(config, stage), **extra))
    items = brought_in[-1].results["documents"].counts.get("read", 0)
    yield dg.AssetObservation(asset_key(config, UPSTREAM), metadata={"items": items})
    key = asset_key(config, "index")
    for found in (*evaluate(pipeline, scope, key), *evaluate_quality(quality, key, config.quality.policy)):
        yield _check(found, blocking=found.check_name not in WARNING_CHECKS)


def _metadata(pipeline: Pipeline, last: BroughtIn) -> dict[str, Any]:
    with pipeline.store.engine.connect() as connection:
        active = generations.active(connection)
    return {"run": last.scope.run_id, "generation": active.name if active is not None else ""}


def _sum(brought_in: Sequence[BroughtIn]) -> Mapping[str, StageResult]:
    """The last result of each stage, with the counts of all."""
    found: dict[str, StageResult] = {}
    for one in brought_in:
        for stage, result in one.results.items():
            before = found.get(stage)
            counts = Counter(before.counts if before else {})
            counts.update(result.counts)
            seconds = result.seconds + (before.seconds if before else 0.0)
            found[stage] = replace(result, counts=dict(counts), seconds=seconds)
    return found


def _materialization(result: dg.MaterializeResult[None]) -> dg.AssetMaterialization:
    assert result.asset_key is not None  # noqa: S101
    return dg.AssetMaterialization(result.asset_key, metadata=result.metadata)


def _check(result: dg.AssetCheckResult, *, blocking: bool) -> dg.AssetCheckEvaluation:
    assert result.asset_key is not None and result.check_name is not None  # noqa: S101, PT018
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey.from_coercible(result.asset_key),
        check_name=result.check_name,
        passed=result.passed,
        metadata=dict(result.metadata),
        severity=result.severity,
        description=result.description,
        blocking=blocking,
    )
