"""Dagster over GraphQL: what it knows of runs, assets, sensors and schedules, and the few things it is told to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from console.clients import dagster_queries as documents
from console.clients.errors import ServiceError
from console.clients.http import http_client
from console.settings import ConsoleSettings

NAME = "Dagster"
REPOSITORY = "__repository__"
STAGES = ("documents", "chunks", "embeddings", "index")


@dataclass(frozen=True, slots=True)
class Run:
    """A run; times are seconds since the epoch. `source` is the asset group it works on, empty when it has none."""

    run_id: str
    job: str
    status: str
    started: float | None
    ended: float | None
    source: str = ""
    partition: str = ""
    can_terminate: bool = False


@dataclass(frozen=True, slots=True)
class DagsterHealth:
    """Daemons without a heartbeat and code locations that do not load."""

    silent_daemons: tuple[str, ...]
    broken_locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `at` is when it was last materialized, `status` that of its newest run, `busy` a run under way."""

    source: str
    stage: str
    after: tuple[str, ...]
    at: float | None = None
    status: str = ""
    busy: bool = False


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


class DagsterClient:
    """One per process; thread-safe. Every method raises `ServiceError` (`DAGSTER_UNAVAILABLE`, `DAGSTER_REFUSED`)."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = f"{settings.dagster_url.rstrip('/')}/graphql"
        self._location = settings.dagster_location
        self._http = http_client(settings.call_seconds)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def health(self) -> DagsterHealth:
        """Whether its daemons live and the code is loaded."""
        data = self._query(documents.HEALTH)
        daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        locations = data["workspaceOrError"].get("locationEntries", [])
        silent = sorted(item["daemonType"] for item in daemons if item["required"] and not item["healthy"])
        broken = sorted(item["name"] for item in locations if not _loaded(item))
        return DagsterHealth(tuple(silent), tuple(broken))

    def runs(self, limit: int = 10, *, job: str = "", statuses: Sequence[str] = (), cursor: str = "") -> list[Run]:
        """The newest runs first, of one job or of all; `cursor` is the id of the run before."""
        chosen: dict[str, object] = {}
        if job:
            chosen["pipelineName"] = job
        if statuses:
            chosen["statuses"] = list(statuses)
        data = self._query(documents.RUNS, filter=chosen, limit=limit, cursor=cursor or None)
        return [_run(item) for item in data["runsOrError"].get("results", [])]

    def log(self, run_id: str) -> list[dict[str, Any]]:
        """The first thousand events of a run."""
        events: list[dict[str, Any]] = self._query(documents.RUN_LOG, id=run_id)["logsForRun"].get("events", [])
        return events

    def assets(self, source: str) -> list[Asset]:
        """The assets of one source with their state."""
        selector = {"groupName": source, "repositoryName": REPOSITORY, "repositoryLocationName": self._location}
        nodes = self._query(documents.GRAPH, group=selector)["assetNodes"]
        keys = [{"path": node["assetKey"]["path"]} for node in nodes]
        latest = self._query(documents.LATEST, keys=keys)["assetsLatestInfo"] if keys else []
        states = {tuple(item["assetKey"]["path"]): item for item in latest}
        return [_asset(node, states.get(tuple(node["assetKey"]["path"]), {})) for node in nodes]

    def checks(self, source: str) -> list[Check]:
        """The checks of one source's assets with their newest results."""
        keys = [{"path": [source, stage]} for stage in STAGES]
        nodes = self._query(documents.CHECKS, keys=keys)["assetNodes"]
        return [
            _check(node["assetKey"]["path"], item)
            for node in nodes
            for item in node["assetChecksOrError"].get("checks", [])
        ]

    def automations(self) -> list[Automation]:
        """Every sensor and schedule, by name."""
        repository = {"repositoryName": REPOSITORY, "repositoryLocationName": self._location}
        data = self._query(documents.AUTOMATIONS, repository=repository)
        sensors = [_sensor(item) for item in data["sensorsOrError"].get("results", [])]
        schedules = [_schedule(item) for item in data["schedulesOrError"].get("results", [])]
        return sorted([*sensors, *schedules], key=lambda item: item.name)

    def launch(self, source: str, *, shards: int = 1, stages: Sequence[str] = ()) -> str:
        """Run a source's chain, or some of its stages, over every shard; returns the id of the run or backfill."""
        selection = [{"path": [source, stage]} for stage in stages or STAGES]
        if shards > 1:
            params: dict[str, Any] = {
                "assetSelection": selection,
                "partitionNames": [str(shard) for shard in range(shards)],
                "tags": [{"key": "rag/sync", "value": source}],
            }
            return str(self._do(documents.BACKFILL, "launchPartitionBackfill", params=params)["backfillId"])
        selector: dict[str, Any] = {**self._repository(), "pipelineName": f"{source}_sync"}
        if stages:
            selector["assetSelection"] = selection
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": []}}
        return str(self._do(documents.LAUNCH, "launchRun", params=params)["run"]["runId"])

    def retry(self, run_id: str) -> str:
        """Run again what failed in a run; returns the id of the new run."""
        params = {"parentRunId": run_id, "strategy": "FROM_FAILURE"}
        return str(self._do(documents.RETRY, "launchRunReexecution", params=params)["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """Stop a run."""
        self._do(documents.TERMINATE, "terminateRun", id=run_id)

    def switch(self, automation: Automation, *, on: bool) -> None:
        """Start or stop a sensor or schedule."""
        sensor = automation.kind == "sensor"
        if not on:
            document = documents.STOP_SENSOR if sensor else documents.STOP_SCHEDULE
            self._do(document, "stopSensor" if sensor else "stopRunningSchedule", id=automation.state_id)
            return
        key = "sensorName" if sensor else "scheduleName"
        selector = {**self._repository(), key: automation.name}
        document = documents.START_SENSOR if sensor else documents.START_SCHEDULE
        self._do(document, "startSensor" if sensor else "startSchedule", selector=selector)

    def backfills(self, limit: int = 10) -> list[dict[str, Any]]:
        """The newest backfills as Dagster describes them."""
        answer = self._query(documents.BACKFILLS, limit=limit)["partitionBackfillsOrError"]
        found: list[dict[str, Any]] = answer.get("results", [])
        return found

    def _repository(self) -> dict[str, Any]:
        return {"repositoryName": REPOSITORY, "repositoryLocationName": self._location}

    def _do(self, document: str, field: str, **variables: object) -> dict[str, Any]:
        answer: dict[str, Any] = self._query(document, **variables)[field]
        if answer["__typename"].endswith(("Error", "Failure", "Invalid")):
            raise ServiceError(NAME, "DAGSTER_REFUSED", str(answer.get("message", "")).strip().partition("\n")[0])
        return answer

    def _query(self, document: str, **variables: object) -> dict[str, Any]:
        try:
            response = self._http.post(self._url, json={"query": document, "variables": variables})
            data = response.json().get("data")
        except (httpx.HTTPError, ValueError, AttributeError):
            raise ServiceError(NAME, "DAGSTER_UNAVAILABLE") from None
        if not isinstance(data, dict) or any(value is None for value in data.values()):
            raise ServiceError(NAME, "DAGSTER_UNAVAILABLE")
        return data


def _run(item: dict[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in item.get("tags") or ()}
    selected = [asset["path"][0] for asset in item.get("assetSelection") or () if asset["path"]]
    source = tags.get("rag/source") or tags.get("rag/sync") or (selected[0] if selected else "")
    return Run(
        item["runId"],
        item["jobName"],
        item["status"],
        item["startTime"] or item["creationTime"],
        item["endTime"],
        source or item["jobName"].removesuffix("_sync"),
        tags.get("dagster/partition", ""),
        bool(item.get("canTerminate")),
    )


def _loaded(location: dict[str, Any]) -> bool:
    loaded = location["locationOrLoadError"] or {}
    return location["loadStatus"] == "LOADED" and loaded.get("__typename") == "RepositoryLocation"


def _asset(node: dict[str, Any], state: dict[str, Any]) -> Asset:
    path = node["assetKey"]["path"]
    latest = state.get("latestMaterialization") or {}
    run = state.get("latestRun") or {}
    return Asset(
        node["groupName"],
        path[-1],
        tuple(key["path"][-1] for key in node["dependencyKeys"]),
        int(latest["timestamp"]) / 1000 if latest else None,
        run.get("status", ""),
        bool(state.get("inProgressRunIds") or state.get("unstartedRunIds")),
    )


def _sensor(item: dict[str, Any]) -> Automation:
    jobs = [target["pipelineName"] for target in item.get("targets") or ()]
    return _automation(item, "sensor", jobs[0] if jobs else "", item["sensorState"], item.get("nextTick"))


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


def _check(path: list[str], item: dict[str, Any]) -> Check:
    execution = item["executionForLatestMaterialization"] or {}
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
