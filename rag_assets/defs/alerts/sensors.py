"""The alert sensor: finds problems in Dagster and in the rows, and feeds the notifiers.

Level-triggered like the change sensor: it reads the state and not events, so nothing is missed while the daemon
is down, and an alert ends when its condition does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import dagster as dg

from rag_assets.defs.alerts.failed_checks import FailedChecks
from rag_assets.defs.streams.jobs import JOB as STREAM_JOB
from rag_assets.lib.failures import typed_failures
from rag_assets.lib.naming import PARTITION_TAG, STAGES, asset_key, job_name, partition_keys
from rag_assets.source_config import SourceConfig
from rag_core.content.quality import store as quality
from rag_core.content.streams import store as streams
from rag_core.database import Store
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.alerts import (
    Alert,
    AlertDelivery,
    AlertKind,
    Notifier,
    dated_ahead,
    deliver,
    disappearances,
    disappeared_documents,
    halted_streams,
    held_deletions,
    open_notifiers,
    over_failure_rate,
    rebuilt_indexes,
    source_states,
    stale_sources,
)
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import RunState
from rag_core.ingestion.source_status import store as status
from rag_core.settings import Settings

CHECKS = {
    "documents": ("schema",),
    "chunks": ("schema",),
    "embeddings": ("schema",),
    "index": ("accounting", "listing_complete", "deletion_guard", "document_budget", "quality", "poison_rate"),
}
"""The blocking checks of every source."""
_FAILED_RUNS = 100
_REMEMBERED = timedelta(days=1)
"""Duration of the alerts about an automatically rebuilt index and about documents that disappeared."""


def alert_sensor(configs: Sequence[SourceConfig], settings: Settings) -> dg.SensorDefinition:
    """One sensor for all sources and jobs."""
    checks = FailedChecks()

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=settings.alert_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Failed runs, blocking checks, stale sources, held deletions, poison rates, halted streams, damage",
    )
    def alerts(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SkipReason:
        with typed_failures():
            notifiers = open_notifiers(pipeline.settings)
            try:
                living = pipeline.settings.stream_lost_seconds
                share = pipeline.settings.delete_guard_fraction
                outcome = evaluate(
                    pipeline.store, context.instance, configs, notifiers, checks=checks, living=living, share=share
                )
            finally:
                for notifier in notifiers:
                    notifier.close()
            for failure in outcome.failures:
                raise failure  # the tick fails, where an operator sees it; all the others were notified
        return dg.SkipReason(", ".join(f"{name}: {count}" for name, count in outcome.sent.items()) or "nothing new")

    return alerts


def evaluate(
    store: Store,
    instance: dg.DagsterInstance,
    configs: Sequence[SourceConfig],
    notifiers: Sequence[Notifier],
    *,
    checks: FailedChecks | None = None,
    now: datetime | None = None,
    living: float = 30.0,
    share: float = 0.2,
) -> AlertDelivery:
    """Evaluate every condition once and notify. A stream worker is alive after a heartbeat within `living` seconds.

    `checks` spares the next evaluation to read the results of all checks.
    Deletions of more than this `share` of a source that were not held are reported for a day.
    """
    when = now or datetime.now(UTC)
    with closing(store.engine.connect()) as connection:
        runs = status.known_runs(connection)
        connection.commit()
        blocked = blocked_checks(instance, configs, checks or FailedChecks())
        conditions = [*run_failures(instance, configs, runs), *blocked]
        states = source_states(connection)
        minutes = {one.name: one.freshness_minutes for one in configs if one.enabled and one.freshness_minutes}
        conditions += [*held_deletions(states), *stale_sources(states, minutes, when), *dated_ahead(states)]
        lost = disappearances(connection, since=when - _REMEMBERED, share=share)
        conditions += disappeared_documents(lost)
        conditions += over_failure_rate(quality.latest(connection))
        conditions += halted_streams(streams.workers(connection, within_seconds=living))
        conditions += rebuilt_indexes(audit.find(connection, _rebuilt_by_itself(when)))
    return deliver(store, notifiers, conditions, now=when)


def _rebuilt_by_itself(now: datetime) -> audit.AuditQuery:
    return audit.AuditQuery(actor="index", action="index.rebuild", since=now - _REMEMBERED)


def run_failures(
    instance: dg.DagsterInstance,
    configs: Sequence[SourceConfig],
    runs: Mapping[tuple[str, str, int], tuple[str, RunState]],
) -> Iterator[Alert]:
    """Jobs (and shards of them) whose last finished run failed. Dagster is asked for those whose newest run, as it is
    recorded in `runs`, did not succeed: a thousand questions a minute would only say that nothing failed. Where no run
    is recorded, because there was none or the sensor that records them fails, the newest failed runs of all say it."""
    places = {(job_name(one), shard): one for one in configs for shard in partition_keys(one)}
    states = {
        place: runs.get((one.tenant, one.name, int(place[1] or 0)), ("", None))[1] for place, one in places.items()
    }
    unknown = {place for place, state in states.items() if state is None}
    failed = unknown & _newest_failed(instance) if unknown else set()
    wanted = [
        (job, shard, one)
        for (job, shard), one in places.items()
        if states[job, shard] not in (None, RunState.SUCCEEDED) or (job, shard) in failed
    ]
    for job, shard, config in [*wanted, ("maintenance", None, None), (STREAM_JOB, None, None)]:
        tags = {PARTITION_TAG: shard} if shard is not None else {}
        filters = dg.RunsFilter(
            job_name=job, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
        )
        newest = instance.get_run_records(filters, limit=1)
        if newest and newest[0].dagster_run.status is dg.DagsterRunStatus.FAILURE:
            yield _run_failed(newest[0], job, shard, config)


def _newest_failed(instance: dg.DagsterInstance) -> set[tuple[str, str | None]]:
    """Jobs and shards of the newest failed runs."""
    failed = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=_FAILED_RUNS)
    return {(run.job_name, run.tags.get(PARTITION_TAG)) for run in failed}


def _run_failed(record: dg.RunRecord, job: str, shard: str | None, config: SourceConfig | None) -> Alert:
    part = f" (shard {shard})" if shard is not None else ""
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else None
    return Alert(
        f"{AlertKind.RUN_FAILED}:{job}" + (f"/{shard}" if shard is not None else ""),
        AlertKind.RUN_FAILED,
        "critical",
        f"the last run of {job}{part} failed",
        config.name if config else "",
        config.tenant if config else "",
        {"run_id": record.dagster_run.run_id},
        started_at=ended,
    )


def blocked_checks(
    instance: dg.DagsterInstance, configs: Sequence[SourceConfig], checks: FailedChecks
) -> Iterator[Alert]:
    """Blocking checks whose last result was a failure."""
    keys = {
        dg.AssetCheckKey(asset_key(config, stage), check): config
        for config in configs
        for stage in STAGES
        for check in CHECKS[stage]
    }
    for key, failure in checks.read(instance, keys).items():
        place = key.asset_key.to_user_string()
        yield Alert(
            f"{AlertKind.CHECK_BLOCKED}:{place}/{key.name}",
            AlertKind.CHECK_BLOCKED,
            "critical",
            f"check {key.name} of {place} failed",
            keys[key].name,
            keys[key].tenant,
            {"run_id": failure.run_id},
            started_at=datetime.fromtimestamp(failure.at, UTC),
        )
