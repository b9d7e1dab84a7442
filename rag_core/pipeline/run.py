"""Run the pipeline: the four stages over a whole shard, or over given documents of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from rag_core.database import Store, locks
from rag_core.generations import TransformRegistry
from rag_core.index import VectorIndex
from rag_core.parsing import Parser
from rag_core.pipeline import run_store as runs
from rag_core.pipeline.base import Progress, StageResult, Work
from rag_core.pipeline.metadata_updates import MetadataPublisher
from rag_core.pipeline.stages.documents import sync_documents
from rag_core.pipeline.targets import chunk_for_targets, embed_for_targets, index_for_targets
from rag_core.settings import Settings
from rag_core.sources import Connector, Scope

STAGES = ("documents", "chunks", "embeddings", "index")


class Dependencies(Protocol):
    """The resources of the stages, each opened at its first use (`rag_core.pipeline.Pipeline`)."""

    @property
    def settings(self) -> Settings: ...

    @property
    def store(self) -> Store: ...

    @property
    def parser(self) -> Parser: ...

    @property
    def transform_registry(self) -> TransformRegistry: ...

    @property
    def index(self) -> VectorIndex: ...


def run_pipeline(
    parts: Dependencies,
    scope: Scope,
    doc_ids: Sequence[uuid.UUID] | None = None,
    *,
    stages: Collection[str] = STAGES,
    connector: Connector | None = None,
    changes: bool = False,
    connection: Connection | None = None,
    progress: Progress | None = None,
) -> dict[str, StageResult]:
    """Bring a shard, and every generation that receives writes, up to date with its source; returns results by stage.

    Without a `connector` it starts from the stored documents; `changes` as for `sync_documents`. `doc_ids` limits it to
    a few stored documents. Without pending work it costs a query or two. Each stage takes the lock of the shard, unless
    `connection` already holds it. The results of a whole shard are stored with the run.

    Raises `Conflict` (`SOURCE_BUSY`) while another run works on the shard, `Unavailable` when a service is unavailable.
    Repeat it then: the remaining work is still pending.
    """
    results = {}
    if connector is not None and "documents" in stages:
        publisher = MetadataPublisher(lambda: parts.index, parts.settings)
        result = sync_documents(
            parts.store,
            connector,
            parts.parser,
            scope,
            parts.settings,
            progress,
            changes=changes,
            publish=publisher.publish,
        )
        outcomes = {f"crawl_{name}": count for name, count in sorted(result.outcomes.items())}
        results["documents"] = replace(result, outcomes={"published": publisher.counts["documents"], **outcomes})
    for stage in STAGES[1:]:
        if stage in stages:
            with _holding(parts, scope, connection) as held:
                work = Work(held, scope, parts.settings, doc_ids, progress)
                results[stage] = run_stage(work, stage, partial(_stage, parts, stage, work))
    return results


def run_stage(work: Work, stage: str, make: Callable[[], StageResult]) -> StageResult:
    """Run and time one stage; the result over a whole shard is stored with the run."""
    started = time.monotonic()
    result = replace(make(), stage=stage, seconds=time.monotonic() - started)
    if work.doc_ids is None:
        tenant, source, shard = work.scope.key
        runs.record(
            work.connection,
            run_id=work.scope.run_id,
            tenant=tenant,
            source=source,
            shard=shard,
            stage=stage,
            counts=result.counts,
            seconds=result.seconds,
        )
        work.connection.commit()
    return result


def _stage(parts: Dependencies, stage: str, work: Work) -> StageResult:
    if stage == "chunks":
        return chunk_for_targets(work, parts.transform_registry)
    if stage == "embeddings":
        return embed_for_targets(work, parts.transform_registry)
    return index_for_targets(work, parts.index)


@contextmanager
def _holding(parts: Dependencies, scope: Scope, connection: Connection | None) -> Iterator[Connection]:
    if connection is not None:
        yield connection
        return
    with locks.shard_connection(parts.store, *scope.key, wait=parts.settings.source_wait_seconds) as held:
        yield held
