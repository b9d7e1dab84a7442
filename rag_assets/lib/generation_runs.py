"""Shared by the generation assets and their sensor: partitions, tags, and due runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from rag_core.errors import InvalidInput, Reason
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.promotion import is_successor

GROUP = "generations"
GENERATIONS = dg.DynamicPartitionsDefinition(name="index_generations")
SHARDS = dg.DynamicPartitionsDefinition(name="index_generation_shards")
ACTIVE = dg.AssetKey("active_index_generation")
GENERATION_TAG = "rag/generation"
"""Tag of every run that builds or evaluates; `rag_assets.instance` limits how many of them run at once."""
KEY_TAG = "rag/generation_key"
BUILD_JOB = "generation_build"
FINISH_JOB = "generation_finish"
RETRY_SECONDS = 300
"""Time that a failed run is left alone before it is tried again."""
MAX_REQUESTS = 50

Shard = tuple[str, str, int]


def shard_key(generation: str, shard: Shard) -> str:
    """The partition of one source shard of a generation. A generation's name has no colon, a tenant's no slash."""
    tenant, source, number = shard
    return f"{generation}:{number}:{tenant}/{source}"


def parse_shard_key(key: str) -> tuple[str, Shard]:
    """The inverse of `shard_key`. Raises `InvalidInput` (`FIELD_INVALID`) for a key that it did not make."""
    try:
        generation, number, place = key.split(":", 2)
        tenant, source = place.split("/", 1)
        return generation, (tenant, source, int(number))
    except ValueError:
        message = "the partition is not GENERATION:SHARD:TENANT/SOURCE; delete it, the sensor adds those that are due"
        raise InvalidInput(Reason.FIELD_INVALID, message) from None


@dataclass(frozen=True, slots=True)
class DueRun:
    """A run that should be started: a job, its partition, and the generation it is for."""

    job: str
    key: str
    generation: str


def due_runs(pipeline: Pipeline) -> Iterator[DueRun]:
    """Due runs by the rows: shards with documents pending for a generation, or its end and its evaluation.

    None while no generation is active: the first one is promoted by the process that makes it, empty and unjudged.
    """
    with pipeline.store.engine.connect() as connection:
        active = generations.active(connection)
        if active is None:
            return
        rows = [
            row for row in generations.write_targets(connection) if row.state != "active" and not row.not_reproducible
        ]
        pending = {row.name: generations.pending_by_shard(connection, row.name) for row in rows}
    for row in rows:
        for shard in pending[row.name]:
            yield DueRun(BUILD_JOB, shard_key(row.name, shard), row.name)
        waits = pipeline.settings.promote_successors and is_successor(active, row)
        if not pending[row.name] and (_unfinished(row) or waits):
            yield DueRun(FINISH_JOB, row.name, row.name)


def _unfinished(row: Generation) -> bool:
    # A generation that was active before has been evaluated, or was promoted without.
    never_judged = row.evaluation is None and row.promoted_at is None
    return row.state == "building" or row.evaluation_wanted_at is not None or never_judged


def requests(pipeline: Pipeline, instance: dg.DagsterInstance, *, now: float | None = None) -> list[dg.RunRequest]:
    """Run requests for what is due and neither under way nor just failed. Registers the partitions they name."""
    moment = time.time() if now is None else now
    wanted = [one for one in due_runs(pipeline) if _may_start(instance, one, moment)][:MAX_REQUESTS]
    for definition, job in ((SHARDS, BUILD_JOB), (GENERATIONS, FINISH_JOB)):
        keys = [one.key for one in wanted if one.job == job]
        if keys:
            instance.add_dynamic_partitions(definition.name or "", keys)
    return [
        dg.RunRequest(job_name=one.job, partition_key=one.key, tags={GENERATION_TAG: one.generation, KEY_TAG: one.key})
        for one in wanted
    ]


def _may_start(instance: dg.DagsterInstance, one: DueRun, now: float) -> bool:
    last = instance.get_run_records(dg.RunsFilter(job_name=one.job, tags={KEY_TAG: one.key}), limit=1)
    if not last:
        return True
    run = last[0].dagster_run
    if not run.is_finished:
        return False
    return run.status is dg.DagsterRunStatus.SUCCESS or now >= (last[0].end_time or 0) + RETRY_SECONDS


def active_materialization(
    pipeline: Pipeline, instance: dg.DagsterInstance, *, known: str | None = None, **metadata: str
) -> dg.AssetMaterialization | None:
    """A materialization of `active_index_generation`, whose partition is the name of the generation: what searches see.

    `None` when no generation is active, or the one that is `known`.
    """
    with pipeline.store.engine.connect() as connection:
        active = generations.active(connection)
    if active is None or active.name == known:
        return None
    instance.add_dynamic_partitions(GENERATIONS.name or "", [active.name])
    points = pipeline.index.count(active.name)
    found: dict[str, str | int] = {"generation": active.name, "points": points, **metadata}
    return dg.AssetMaterialization(ACTIVE, partition=active.name, metadata=found)


def report_promotion(pipeline: Pipeline, instance: dg.DagsterInstance) -> bool:
    """Report the active generation when Dagster knows another: the first one, and promotions from elsewhere."""
    latest = instance.get_latest_materialization_event(ACTIVE)
    known = latest.asset_materialization if latest is not None else None
    active = active_materialization(pipeline, instance, known=known.partition if known is not None else None)
    if active is not None:
        instance.report_runless_asset_event(active)
    return active is not None
