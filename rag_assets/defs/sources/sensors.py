"""Decide about a run of a listed source: its version tag is compared with the tag of its last run (level-triggered).

All state is the runs themselves. Nothing is remembered that could drift: a lost run, a restored database or a deleted
cursor only means that the next evaluation finds a difference again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dagster as dg

from rag_assets.defs.sources.jobs import AssetJob
from rag_assets.lib.failures import typed_failures
from rag_assets.lib.naming import PARTITION_TAG, job_name, partition_keys
from rag_assets.source_config import SourceConfig
from rag_assets.version_tags import CHANGES, LISTING_TAG, SYNC_TAG, TOKEN_TAG
from rag_core.errors import PermissionDenied
from rag_core.governance.tenants import store as tenants
from rag_core.ids import fingerprint
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import observable_store

NAME = "source_changes"
"""The sensor that starts the runs of all listed sources."""
SWITCH_SECONDS = 86_400
RETRY_FIRST_SECONDS = 60
RETRY_LAST_SECONDS = 3600
_HISTORY = 8
"""Runs read to count failures in a row; the delay has reached its cap by then."""


def tag_run(context: dg.AssetExecutionContext, version_tag: str | None) -> None:
    """Tag the run with the version tag of its listing; a later change of the source gives another tag."""
    if version_tag is not None:
        context.instance.add_run_tags(context.run.run_id, {TOKEN_TAG: fingerprint(version_tag)})


def change_switch(config: SourceConfig, job: AssetJob) -> dg.SensorDefinition | None:
    """The switch of one source, by which its changes are paused by name; `None` when its configuration has no sensor.

    The stream worker and the sensor `source_changes` do the work. A sensor each would cost half a percent of a core for
    a source in which nothing happens.
    """
    if config.sensor is None:
        return None
    status = dg.DefaultSensorStatus.RUNNING if config.enabled else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=switch_name(config),
        job=job,
        minimum_interval_seconds=SWITCH_SECONDS,
        default_status=status,
        description=f"While it is on, changes of source `{config.name}` are applied: by a stream worker or by runs "
        f"that the sensor `{NAME}` starts. It says by which.",
    )
    def switch(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SkipReason:
        with typed_failures():
            if closed := closed_tenant(config, pipeline):
                return closed
            with pipeline.store.engine.connect() as connection:
                place = (config.tenant, config.name)
                by_worker = observable_store.observed(connection, [place])
        return dg.SkipReason("a stream worker observes it" if by_worker else f"the sensor `{NAME}` looks at it")

    return switch


def switch_name(config: SourceConfig) -> str:
    """The name of the switch, as pause and resume know it."""
    return f"{config.key}_changes"


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
    look: Callable[[], str],
    instance: dg.DagsterInstance,
    *,
    now: float,
    removed: bool = False,
    applied: str | None = None,
    after: str | None = None,
) -> dg.SkipReason | list[dg.RunRequest]:
    """A run request for each shard that needs one, or why none does. `now` is in seconds since the epoch.

    `look` returns the version tag of the source now, and `applied` is the one whose state is searchable. `removed`: the
    database knows nothing of the source, so that its good runs of before do not count. A run that is newer than the run
    `after` is one that the requester has not seen yet: it is waited for.
    """
    shards = partition_keys(config)
    idle = _idle(config, instance, shards)
    if not idle:
        return dg.SkipReason("a run of this source is queued or in progress")
    token = look()
    # Again: somebody may have started a run while the tag was read, which takes seconds for a large source.
    idle = _idle(config, instance, list(idle))
    seen = {shard: runs for shard, runs in idle.items() if not (runs and after) or runs[0].dagster_run.run_id == after}
    due = [shard for shard, runs in seen.items() if _due(runs, token, now, removed=removed, applied=applied)]
    # No run key: a key is deduplicated for ever, and a source may return to a state it had before.
    requests = [
        dg.RunRequest(job_name=job_name(config), partition_key=shard, tags={TOKEN_TAG: token, LISTING_TAG: CHANGES})
        for shard in due
    ]
    return requests or dg.SkipReason("unchanged since the last good run, or waiting before a failed run is repeated")


def _idle(
    config: SourceConfig, instance: dg.DagsterInstance, shards: Sequence[str | None]
) -> dict[str | None, list[dg.RunRecord]]:
    histories = {shard: _history(config, instance, shard) for shard in shards}
    return {shard: runs for shard, runs in histories.items() if not runs or runs[0].dagster_run.is_finished}


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


def _due(runs: list[dg.RunRecord], token: str, now: float, *, removed: bool, applied: str | None) -> bool:
    if not runs:
        return True
    if runs[0].dagster_run.tags.get(TOKEN_TAG) != token:
        # A worker may have brought the source to this state since.
        return token != applied or runs[0].dagster_run.status is not dg.DagsterRunStatus.SUCCESS
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
