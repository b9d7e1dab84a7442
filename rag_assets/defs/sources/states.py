"""Write what only Dagster knows of sources as rows, from which their status is computed.

That is whether a run is queued, under way or failed and why, and whether an operator switched a source's sensor and
schedule off. Level-triggered like the starting of runs: runs that were missed are found at the next full comparison.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from rag_assets.defs.sources.sensors import switch_name
from rag_assets.lib.naming import PARTITION_TAG, job_name, partition_keys
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import store as sources
from rag_core.database import Store
from rag_core.errors import Reason
from rag_core.ingestion.source_status import RunState, SourceRun
from rag_core.ingestion.source_status import store as status
from rag_core.reasons import REASONS

FULL_SECONDS = 600.0
"""Between two comparisons of all runs; in between only runs that changed since the last one are read."""
_OVERLAP = timedelta(seconds=60)
_MAX_MESSAGE, _MAX_EVENTS = 500, 1000
_STATES = {
    dg.DagsterRunStatus.QUEUED: RunState.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED: RunState.QUEUED,
    dg.DagsterRunStatus.STARTING: RunState.RUNNING,
    dg.DagsterRunStatus.STARTED: RunState.RUNNING,
    dg.DagsterRunStatus.CANCELING: RunState.RUNNING,
    dg.DagsterRunStatus.SUCCESS: RunState.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: RunState.FAILED,
    dg.DagsterRunStatus.CANCELED: RunState.CANCELED,
}
_CHECKS = {
    "accounting": Reason.ACCOUNTING_MISMATCH,
    "listing_complete": Reason.LISTING_INCOMPLETE,
    "deletion_guard": Reason.MASS_DELETE_HELD,
    "document_budget": Reason.QUOTA_EXCEEDED,
    "quality": Reason.QUALITY_THRESHOLD,
    "poison_rate": Reason.POISON_RATE,
}
"""The reason of a run that a blocking check failed."""


def record_changed(
    store: Store, instance: dg.DagsterInstance, configs: Sequence[SourceConfig], cursor: str | None
) -> str:
    """Write what changed since `cursor`, from time to time everything; returns the next cursor."""
    now = time.time()
    last, full = _cursor(cursor)
    whole = now - full > FULL_SECONDS
    record(store, instance, configs, since=None if whole else last)
    return f"{now:.3f} {now if whole else full:.3f}"


def _cursor(text: str | None) -> tuple[float, float]:
    """Return when it ran last, and when it compared all runs last."""
    try:
        last, full = map(float, (text or "").split())
    except ValueError:
        return 0.0, 0.0
    return last, full


def record(
    store: Store, instance: dg.DagsterInstance, configs: Sequence[SourceConfig], *, since: float | None = None
) -> int:
    """Write the state of all sources; returns how many runs changed. `since` limits it to runs changed after it."""
    with store.engine.connect() as connection:
        known = status.known_runs(connection)
    wanted = {(job_name(config), key): config for config in configs for key in partition_keys(config)}
    if since is None:
        records = [one for job, key in wanted for one in _newest(instance, job, key)]
    else:
        changed_after = datetime.fromtimestamp(since, UTC) - _OVERLAP
        records = list(instance.get_run_records(dg.RunsFilter(updated_after=changed_after)))
    switched, newest = _switched(instance), dict[tuple[str, str | None], dg.RunRecord]()
    for one in records:
        place = _place(one, configs)
        if place in wanted and (place not in newest or newest[place].create_timestamp < one.create_timestamp):
            newest[place] = one
    changed = 0
    with store.engine.begin() as connection:
        status.observe(connection, [_observation(config, switched) for config in configs])
        sources.set_serving_options(connection, [config.source for config in configs])
        for place, one in newest.items():
            config, shard = wanted[place], int(place[1] or 0)
            identity = (one.dagster_run.run_id, _STATES[one.dagster_run.status])
            if known.get((config.tenant, config.name, shard)) == identity:
                continue
            reason, message = _failure(instance, one) if identity[1] is RunState.FAILED else (None, None)
            status.record_runs(connection, config.tenant, config.name, [_run(one, shard, reason, message)])
            changed += 1
    return changed


def _newest(instance: dg.DagsterInstance, job: str, key: str | None) -> Sequence[dg.RunRecord]:
    tags = {PARTITION_TAG: key} if key is not None else {}
    return instance.get_run_records(dg.RunsFilter(job_name=job, tags=tags), limit=1)


def _place(record: dg.RunRecord, configs: Sequence[SourceConfig]) -> tuple[str, str | None]:
    """The job and partition of a run. Runs of a backfill over shards belong to Dagster's own job; they name assets."""
    run = record.dagster_run
    key = run.tags.get(PARTITION_TAG)
    names = {job_name(config) for config in configs}
    if run.job_name in names or not run.asset_selection:
        return run.job_name, key
    return f"{min(asset.path[0] for asset in run.asset_selection)}_sync", key


def _observation(config: SourceConfig, switched: Mapping[str, bool]) -> status.Observation:
    names = [switch_name(config)] if config.sensor is not None else []
    follows = bool(names) and config.has_runs and switched.get(names[0], config.enabled)
    names += [f"{config.key}_reconcile"] if config.schedule is not None else []
    on = [switched.get(name, config.enabled) for name in names if config.has_runs]
    return status.Observation(
        tenant=config.tenant,
        source=config.name,
        kind=config.options.kind,
        has_runs=config.has_runs,
        follows_changes=follows,
        paused=bool(on) and not any(on),
        freshness_minutes=config.freshness_minutes if config.enabled else None,
    )


def _switched(instance: dg.DagsterInstance) -> dict[str, bool]:
    """Sensors and schedules that an operator switched on or off; the others are as their source files say."""
    found = instance.all_instigator_state()
    return {
        one.instigator_name: one.status.name == "RUNNING" for one in found if one.status.name in {"RUNNING", "STOPPED"}
    }


def _run(record: dg.RunRecord, shard: int, reason: str | None, message: str | None) -> SourceRun:
    run = record.dagster_run
    state = _STATES[run.status]
    ended = record.end_time or record.update_timestamp.timestamp()
    return SourceRun(
        shard=shard,
        run_id=run.run_id,
        state=state,
        queued_at=record.create_timestamp,
        started_at=_moment(record.start_time),
        ended_at=_moment(ended) if run.is_finished else None,
        reason=reason if state is RunState.FAILED else None,
        message=message if state is RunState.FAILED else None,
    )


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None


def _failure(instance: dg.DagsterInstance, record: dg.RunRecord) -> tuple[str | None, str | None]:
    """Reason code and message of a failed run: of its first typed failure, else of the blocking check that failed.

    Why a listing was incomplete is in the metadata of the documents, not in the check.
    """
    kinds = {
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
    }
    page = instance.get_records_for_run(record.dagster_run.run_id, of_type=kinds, limit=_MAX_EVENTS)
    blocked: tuple[str | None, str | None] = (None, None)
    problems: dict[str, str] = {}
    for entry in page.records:
        event = entry.event_log_entry.dagster_event
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            if typed := _typed(event.step_failure_data):
                return typed
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            said = event.step_materialization_data.materialization.metadata
            if "problem" in said and "problem_message" in said:
                problems[str(said["problem"].value)] = str(said["problem_message"].value)[:_MAX_MESSAGE]
        elif not (check := event.asset_check_evaluation_data).passed and check.blocking is not False:
            reason = _CHECKS.get(check.check_name)
            blocked = (reason, REASONS[reason][0] if reason else f"the check {_name(check)} failed")
    return blocked[0], problems.get(str(blocked[0])) or blocked[1]


def _name(check: dg.AssetCheckEvaluation) -> str:
    return f"{check.asset_key.path[-1]}:{check.check_name}"


def _typed(failure: Any) -> tuple[str, str] | None:
    data = failure.user_failure_data
    reason = data.metadata.get("reason") if data is not None and data.metadata else None
    if data is None or reason is None or str(reason.value) not in Reason.__members__:
        return None
    message = (data.description or "").removeprefix(f"{reason.value}: ")
    return str(reason.value), message[:_MAX_MESSAGE]
