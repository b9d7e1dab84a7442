"""The change sensor: compares the source's version tag with the tag of the last successful run (level-triggered).

All state is the runs themselves. Nothing is remembered that could drift: a lost run, a restored database or a deleted
cursor only means that the next evaluation finds a difference again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg

from rag_assets.connectors import connector_context, open_connector
from rag_assets.defs.sources.jobs import AssetJob
from rag_assets.lib.failures import typed_failures
from rag_assets.lib.naming import PARTITION_TAG, job_name, partition_keys
from rag_assets.source_config import SourceConfig
from rag_assets.version_tags import CHANGES, LISTING_TAG, SYNC_TAG, TOKEN_TAG, current_version_tag
from rag_core.content.sources import Connector
from rag_core.content.sources import store as sources
from rag_core.errors import PermissionDenied
from rag_core.governance.tenants import store as tenants
from rag_core.ids import fingerprint
from rag_core.ingestion.pipeline import Pipeline

RETRY_FIRST_SECONDS = 60
RETRY_LAST_SECONDS = 3600
_HISTORY = 8
"""Runs read to count failures in a row; the delay has reached its cap by then."""


def tag_run(context: dg.AssetExecutionContext, version_tag: str | None) -> None:
    """Tag the run with the version tag of its listing; a later change of the source gives another tag."""
    if version_tag is not None:
        context.instance.add_run_tags(context.run.run_id, {TOKEN_TAG: fingerprint(version_tag)})


def change_sensor(config: SourceConfig, job: AssetJob) -> dg.SensorDefinition | None:
    """The sensor of one source, `None` when its configuration has none."""
    if config.sensor is None:
        return None
    status = dg.DefaultSensorStatus.RUNNING if config.enabled else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=f"{config.key}_changes",
        job=job,
        minimum_interval_seconds=config.sensor.interval_seconds,
        default_status=status,
        description=f"Starts `{job_name(config)}` when source `{config.name}` differs from its last good run.",
    )
    def changes(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SkipReason | list[dg.RunRequest]:
        with typed_failures():
            if closed := closed_tenant(config, pipeline):
                return closed
        with typed_failures(), open_connector(config, connector_context(config, pipeline.settings)) as connector:
            with pipeline.store.engine.connect() as connection:
                removed = sources.find(connection, config.tenant, config.name) is None
            return evaluate(config, connector, context.instance, now=time.time(), removed=removed)

    return changes


def closed_tenant(config: SourceConfig, pipeline: Pipeline) -> dg.SkipReason | None:
    """Return why no run is started for a tenant that is suspended or erased; `None` for an active one."""
    with pipeline.store.engine.connect() as connection:
        try:
            tenants.check_active(connection, config.tenant)
        except PermissionDenied as error:
            return dg.SkipReason(error.message)
    return None


def evaluate(
    config: SourceConfig,
    connector: Connector,
    instance: dg.DagsterInstance,
    *,
    now: float,
    removed: bool = False,
) -> dg.SkipReason | list[dg.RunRequest]:
    """A run request for each shard that needs one, or why none does. `now` is in seconds since the epoch.

    `removed`: the database knows nothing of the source, so that its good runs of before do not count.
    """
    shards = partition_keys(config)
    histories = {shard: _history(config, instance, shard) for shard in shards}
    idle = [shard for shard, runs in histories.items() if not runs or runs[0].dagster_run.is_finished]
    if not idle:
        return dg.SkipReason("a run of this source is queued or in progress")
    token = current_version_tag(connector)
    # Again: somebody may have started a run while the tag was read, which takes seconds for a large source.
    histories = {shard: _history(config, instance, shard) for shard in idle}
    idle = [shard for shard, runs in histories.items() if not runs or runs[0].dagster_run.is_finished]
    requests = list(_requests(idle, histories, token, now, removed=removed))
    return requests or dg.SkipReason("unchanged since the last good run, or waiting before a failed run is repeated")


def _requests(
    shards: list[str | None],
    histories: dict[str | None, list[dg.RunRecord]],
    token: str,
    now: float,
    *,
    removed: bool,
) -> Iterator[dg.RunRequest]:
    for shard in shards:
        if _due(histories[shard], token, now, removed=removed):
            # No run key: a key is deduplicated for ever, and a source may return to a state it had before.
            yield dg.RunRequest(partition_key=shard, tags={TOKEN_TAG: token, LISTING_TAG: CHANGES})


def _history(config: SourceConfig, instance: dg.DagsterInstance, shard: str | None) -> list[dg.RunRecord]:
    """The newest runs first."""
    if shard is None:
        return list(instance.get_run_records(dg.RunsFilter(job_name=job_name(config)), limit=_HISTORY))
    tags = {PARTITION_TAG: shard}
    own = instance.get_run_records(dg.RunsFilter(job_name=job_name(config), tags=tags), limit=_HISTORY)
    # Runs of a backfill over shards belong to Dagster's own job.
    synced = instance.get_run_records(dg.RunsFilter(tags={**tags, SYNC_TAG: config.key}), limit=_HISTORY)
    found = {record.storage_id: record for record in (*own, *synced)}
    return [found[number] for number in sorted(found, reverse=True)[:_HISTORY]]


def _due(runs: list[dg.RunRecord], token: str, now: float, *, removed: bool) -> bool:
    if not runs or runs[0].dagster_run.tags.get(TOKEN_TAG) != token:
        return True
    if runs[0].dagster_run.status is dg.DagsterRunStatus.SUCCESS:
        return removed
    if runs[0].dagster_run.status is dg.DagsterRunStatus.CANCELED:
        return now >= (runs[0].end_time or 0) + RETRY_LAST_SECONDS  # an operator stopped it; do not start it again
    return now >= (runs[0].end_time or 0) + _delay(runs, token)


def _delay(runs: list[dg.RunRecord], token: str) -> float:
    """Seconds to wait after the same state of the source failed: 1, 2, 4 ... minutes, at most an hour."""
    failures = 0
    for record in runs:
        run = record.dagster_run
        if run.status is dg.DagsterRunStatus.SUCCESS or run.tags.get(TOKEN_TAG) != token:
            break
        failures += 1
    return min(RETRY_LAST_SECONDS, RETRY_FIRST_SECONDS * 2.0 ** (failures - 1))
