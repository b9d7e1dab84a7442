"""Parse Dagster's answers into plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DagsterRun:
    """A run; times are seconds since the epoch. `source` is the key of the source it works on; empty for other jobs.

    `changes`: where the source can list what changed, it lists only that. `created` is when it was asked for.
    """

    run_id: str
    job: str
    status: str
    started: float | None
    ended: float | None
    source: str = ""
    partition: str = ""
    can_terminate: bool = False
    changes: bool = False
    created: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DagsterHealth:
    """Daemons without a heartbeat and code locations that do not load."""

    silent_daemons: tuple[str, ...]
    broken_locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `at` is its last materialization, `status` that of its newest run.

    `running` and `queued`: a run of it is under way, or waits for its turn.
    """

    source: str
    stage: str
    after: tuple[str, ...]
    at: float | None = None
    status: str = ""
    running: bool = False
    queued: bool = False


@dataclass(frozen=True, slots=True)
class Automation:
    """A sensor or a schedule. `job` is what it starts."""

    name: str
    kind: str
    job: str
    running: bool
    state_id: str
    last_at: float | None
    next_at: float | None
    last_status: str
    note: str


@dataclass(frozen=True, slots=True)
class Check:
    """The newest result of an asset check; `passed=None` before the first."""

    source: str
    stage: str
    name: str
    blocking: bool
    passed: bool | None
    severity: str
    at: float | None
    description: str
    figures: tuple[tuple[str, str], ...]


def to_run(item: dict[str, Any]) -> DagsterRun:
    """A run."""
    tags = {tag["key"]: tag["value"] for tag in item.get("tags") or ()}
    return DagsterRun(
        item["runId"],
        item["jobName"],
        item["status"],
        item.get("startTime") or item.get("creationTime"),
        item.get("endTime"),
        _source_of(item["jobName"], tags, item.get("assetSelection") or ()),
        tags.get("dagster/partition", ""),
        bool(item.get("canTerminate")),
        tags.get("rag/listing") == "changes",
        float(item.get("creationTime") or 0),
        tags,
    )


_SYNC = "_sync"
_STAGES = frozenset({"source", "documents", "chunks", "embeddings", "index"})
"""The assets of a source; others belong to none."""


def _source_of(job: str, tags: Mapping[str, str], selected: Iterable[dict[str, Any]]) -> str:
    if job.endswith(_SYNC):
        return tags.get("rag/source") or tags.get("rag/sync") or job.removesuffix(_SYNC)
    return _source_of_assets(selected)


def _source_of_assets(selected: Iterable[dict[str, Any]]) -> str:
    paths = (asset["path"] for asset in selected)
    return next((str(path[0]) for path in paths if len(path) == 2 and path[1] in _STAGES), "")


def is_loaded(location: dict[str, Any]) -> bool:
    """Return whether a code location can be used."""
    loaded = location["locationOrLoadError"] or {}
    return location["loadStatus"] == "LOADED" and loaded.get("__typename") == "RepositoryLocation"


def to_asset(node: dict[str, Any], state: dict[str, Any]) -> Asset:
    """An asset with its state."""
    path = node["assetKey"]["path"]
    latest = state.get("latestMaterialization") or {}
    run = state.get("latestRun") or {}
    return Asset(
        path[0],
        path[-1],
        tuple(key["path"][-1] for key in node["dependencyKeys"]),
        int(latest["timestamp"]) / 1000 if latest else None,
        run.get("status", ""),
        bool(state.get("inProgressRunIds")),
        bool(state.get("unstartedRunIds")),
    )


def to_automations(sensors: list[dict[str, Any]], schedules: list[dict[str, Any]]) -> list[Automation]:
    """Sensors and schedules, by name."""
    return sorted((*map(_sensor, sensors), *map(_schedule, schedules)), key=lambda item: item.name)


def _sensor(item: dict[str, Any]) -> Automation:
    jobs = [target["pipelineName"] for target in item.get("targets") or ()]
    return _automation(item, "sensor", jobs[0] if len(jobs) == 1 else "", item["sensorState"], item.get("nextTick"))


def _schedule(item: dict[str, Any]) -> Automation:
    state = item["scheduleState"]
    return _automation(item, "schedule", item["pipelineName"], state, state.get("nextTick"))


def _automation(
    item: dict[str, Any], kind: str, job: str, state: dict[str, Any], upcoming: dict[str, Any] | None
) -> Automation:
    tick = (state["ticks"] or [{}])[0]
    error = tick.get("error") or {}
    return Automation(
        item["name"],
        kind,
        job,
        state["status"] == "RUNNING",
        state["id"],
        tick.get("timestamp"),
        (upcoming or {}).get("timestamp"),
        tick.get("status", ""),
        str(error.get("message") or tick.get("skipReason") or "").partition("\n")[0],
    )


def source_of_backfill(item: dict[str, Any]) -> str:
    """The source that a backfill works on, empty when it selects none."""
    return _source_of_assets(item.get("assetSelection") or ())


def to_check(path: list[str], item: dict[str, Any], executions: list[dict[str, Any]]) -> Check:
    """A check with its newest result; executions that are planned, or were left out, have none."""
    execution = next((one for one in executions if one["evaluation"]), {})
    evaluation = execution.get("evaluation") or {}
    entries = evaluation.get("metadataEntries") or ()
    figures = [(entry["label"], _figure(entry)) for entry in entries]
    return Check(
        path[0],
        path[-1],
        item["name"],
        item["blocking"],
        evaluation.get("success"),
        evaluation.get("severity", ""),
        execution.get("timestamp"),
        evaluation.get("description") or "",
        tuple(figure for figure in figures if figure[1]),
    )


def _figure(entry: dict[str, Any]) -> str:
    value = next((entry[key] for key in ("intValue", "floatValue", "text") if entry.get(key) is not None), "")
    return str(value)


_TYPED = re.compile(r"(?:^|: )([A-Z][A-Z_]{3,60}: .*)")
_MAX_REASON = 400


def failure_reason(events: Iterable[Mapping[str, Any]]) -> str:
    """Why a run failed, in one line: the innermost cause with a reason code, else the blocking check that failed, else
    the innermost cause; empty when none was recorded."""
    blocked: list[str] = []
    for event in events:
        if check := event.get("evaluation"):
            blocked += _blocking(check)
        elif error := event.get("error"):
            causes = (error, *(error.get("causes") or ()))
            said = [str(cause.get("message", "")).strip().partition("\n")[0] for cause in causes]
            typed = [found[1] for text in said if (found := _TYPED.search(text))]
            return (typed or blocked[:1] or said)[-1][:_MAX_REASON]
    return ""


def _blocking(check: Mapping[str, Any]) -> list[str]:
    """What a failed check says, which begins with its reason code; nothing of one that passed or only warns."""
    if check["success"] or check["severity"] != "ERROR":
        return []
    return [str(check["description"] or f"the check {check['checkName']} failed")]
