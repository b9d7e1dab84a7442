"""Run the stages after the first over a shard or given documents, for every generation that receives writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from rag_core.content.parsing import Parser
from rag_core.content.sources import Source
from rag_core.database import Store
from rag_core.governance.history import HistoryRecorder, StoredSeries
from rag_core.governance.tenants import CANARY_TENANT
from rag_core.ingestion.generations import TransformRegistry
from rag_core.ingestion.pipeline import run_store as runs
from rag_core.ingestion.pipeline.base import StageResult, Work
from rag_core.ingestion.pipeline.targets import chunk_for_targets, embed_for_targets, index_for_targets
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings
from rag_tracing import openinference, span

STAGES = ("documents", "chunks", "embeddings", "index")


class StageDependencies(Protocol):
    """The resources of the stages, each opened at its first use (`rag_core.ingestion.pipeline.Pipeline`)."""

    @property
    def settings(self) -> Settings: ...

    @property
    def store(self) -> Store: ...

    @property
    def recorder(self) -> HistoryRecorder: ...

    @property
    def parser(self) -> Parser: ...

    @property
    def transform_registry(self) -> TransformRegistry: ...

    @property
    def index(self) -> VectorIndex: ...


def record_ingested(dependencies: StageDependencies, source: Source, counts: Mapping[str, int]) -> None:
    """Count for the history what a commit stored of a source, and what it refused."""
    if source.tenant == CANARY_TENANT:
        return
    tally = dependencies.recorder.tally
    for series, count in (
        (StoredSeries.INGESTED, counts.get("added", 0) + counts.get("updated", 0)),
        (StoredSeries.REFUSED, counts.get("quarantined", 0)),
    ):
        if count:
            tally.count(series, count, tenant=source.tenant, label=source.name)


def run_stages(dependencies: StageDependencies, work: Work, stages: Collection[str]) -> dict[str, StageResult]:
    """Run the later ones of the stages over the extent of `work`; returns results by stage."""
    return {stage: timed(stage, partial(_stage, dependencies, stage, work)) for stage in STAGES[1:] if stage in stages}


def run_stage(work: Work, stage: str, make: Callable[[], StageResult]) -> StageResult:
    """Run and time one stage over a whole shard; its result is stored with the run."""
    result = timed(stage, make)
    record(work, result)
    return result


def timed(stage: str, make: Callable[[], StageResult]) -> StageResult:
    """The result of a stage with its name and duration."""
    started = time.monotonic()
    with span(f"stage {stage}", openinference.CHAIN) as block:
        result = make()
        block.set({f"rag.{name}": count for name, count in result.counts.items()})
    return replace(result, stage=stage, seconds=time.monotonic() - started)


def record(work: Work, result: StageResult) -> None:
    """Store the result of a stage over a whole shard with the run, and commit."""
    tenant, source, shard = work.scope.key
    runs.record(
        work.connection,
        run_id=work.scope.run_id,
        tenant=tenant,
        source=source,
        shard=shard,
        stage=result.stage,
        counts=result.counts,
        seconds=result.seconds,
    )
    work.connection.commit()


def _stage(dependencies: StageDependencies, stage: str, work: Work) -> StageResult:
    if stage == "chunks":
        return chunk_for_targets(work, dependencies.transform_registry)
    if stage == "embeddings":
        return embed_for_targets(work, dependencies.transform_registry)
    return index_for_targets(work, dependencies.index)
