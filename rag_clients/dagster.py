"""Client of Dagster over GraphQL: runs, assets, sensors, schedules, and actions on them."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any, Self

import httpx

from rag_clients import dagster_answers as answers
from rag_clients import dagster_queries as documents
from rag_clients.dagster_answers import Asset, Automation, Check, DagsterHealth, DagsterRun

REPOSITORY = "__repository__"
RELOAD_SECONDS = 180.0
"""Reading the code again takes seconds, on a busy machine many."""
FILES_SENSOR, FILES_TAG = "source_files", "rag/source_files"
TENANT_TAG = "rag/tenant"
"""On every run of a source's job."""
_POLL_SECONDS = 0.5
ACTIVE = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""Statuses of runs that have not ended."""
GOING_ON = ACTIVE[:4]
"""Statuses of runs that nobody is ending."""
WAITING = ACTIVE[:3]
"""Statuses of runs that have read nothing yet."""
STAGES = ("documents", "chunks", "embeddings", "index")
MAX_CRASH_RETRIES = 2
"""New runs after a run whose process died and could not be resumed; failures of assets are retried per asset."""
_SEARCHED_BACKFILLS = 100
"""Number of newest backfills, of all tenants, that are searched for a tenant's own."""
_SEARCHED_RUNS = 100
_LOG_PAGES = 20
"""Of a thousand events each; the run of a large source has several thousand."""
_CODE_SERVER = re.compile("_InactiveRpcError|DagsterUserCodeUnreachableError|DEADLINE_EXCEEDED")
"""In the traceback that Dagster answers with when its code server does not answer it."""


def job_of(source: str) -> str:
    """The job that runs the chain of a source. Sources are named by their keys here, as Dagster knows them."""
    return f"{source}_sync"


def source_of(job: str) -> str:
    """The source whose chain a job runs; the job's own name when it runs none."""
    return job.removesuffix("_sync")


class Trouble(StrEnum):
    """How a call failed."""

    DOWN = "down"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    """Dagster does not know what it is asked for: another version."""
    FAILED = "failed"
    """Dagster could not work it out."""
    REFUSED = "refused"
    """Dagster answered that it does not do it, or that there is no such thing."""


class DagsterClient:
    """One per process; thread-safe. Every method raises what `error` makes of a trouble and Dagster's own words.

    `guard` is entered around each call; a circuit breaker skips calls with it.
    """

    def __init__(
        self,
        url: str,
        location: str,
        http: httpx.Client,
        error: Callable[[Trouble, str], Exception],
        guard: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._url, self._location = f"{url.rstrip('/')}/graphql", location
        self._http, self._error, self._guard = http, error, guard
        self._tenant = ""
        self._sources: frozenset[str] | None = None

    def within(self, tenant: str, sources: Iterable[str]) -> Self:
        """The same client, limited to the runs of a tenant and the automations of these sources."""
        view = copy.copy(self)
        view._tenant, view._sources = tenant, frozenset(sources)
        return view

    def _sees(self, source: str) -> bool:
        return self._sources is None or source in self._sources

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def health(self) -> DagsterHealth:
        """Whether its daemons live and the code is loaded."""
        data = self._query(documents.HEALTH)
        daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        locations = data["workspaceOrError"]["locationEntries"]
        silent = sorted(item["daemonType"] for item in daemons if item["required"] and not item["healthy"])
        broken = sorted(item["name"] for item in locations if not answers.is_loaded(item))
        return DagsterHealth(tuple(silent), tuple(broken))

    def runs(
        self, limit: int = 10, *, job: str = "", statuses: Sequence[str] = (), cursor: str = ""
    ) -> list[DagsterRun]:
        """The newest runs first, of one job or of all; `cursor` is the id of the run before."""
        if job and not self._sees(source_of(job)):
            return []
        chosen: dict[str, object] = {}
        if job:
            chosen["pipelineName"] = job
        elif self._sources is not None:
            chosen["tags"] = [{"key": TENANT_TAG, "value": self._tenant}]
        if statuses:
            chosen["statuses"] = list(statuses)
        return self.search_runs(chosen, limit, cursor=cursor)

    def search_runs(self, chosen: Mapping[str, object], limit: int = 1000, *, cursor: str = "") -> list[DagsterRun]:
        """The newest runs that a filter of Dagster (`RunsFilter`) lets through, of any tenant."""
        data = self._query(documents.RUNS, filter=dict(chosen), limit=limit, cursor=cursor or None)
        return [answers.to_run(item) for item in data["runsOrError"]["results"]]

    def log(self, run_id: str) -> list[dict[str, Any]]:
        """The first events of a run, as many as it takes to tell why it failed."""
        events: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(_LOG_PAGES):
            page = self._do(documents.RUN_LOG, "logsForRun", id=run_id, after=after)
            events += page["events"]
            after = page["cursor"]
            if not page["hasMore"]:
                break
        return events

    def assets(self, source: str) -> list[Asset]:
        """The assets of one source with their state."""
        if not self._sees(source):
            return []
        # A topic has one asset instead of a chain.
        known = [{"path": [source, stage]} for stage in STAGES] + [{"path": ["stream", source]}]
        nodes = self._query(documents.GRAPH, keys=known)["assetNodes"]
        keys = [{"path": node["assetKey"]["path"]} for node in nodes]
        latest = self._query(documents.LATEST, keys=keys)["assetsLatestInfo"] if keys else []
        states = {tuple(item["assetKey"]["path"]): item for item in latest}
        return [answers.to_asset(node, states.get(tuple(node["assetKey"]["path"]), {})) for node in nodes]

    def checks(self, source: str) -> list[Check]:
        """The checks of one source's assets with their newest results."""
        if not self._sees(source):
            return []
        keys = [{"path": [source, stage]} for stage in STAGES]
        nodes = self._query(documents.CHECKS, keys=keys)["assetNodes"]
        found = [(node["assetKey"], item) for node in nodes for item in node["assetChecksOrError"].get("checks", [])]
        if not found:
            return []
        variables: dict[str, Any] = {f"key{number}": {"path": key["path"]} for number, (key, _) in enumerate(found)}
        variables |= {f"name{number}": item["name"] for number, (_, item) in enumerate(found)}
        results = self._query(documents.executions(len(found)), **variables)
        return [
            answers.to_check(key["path"], item, results[f"check{number}"]) for number, (key, item) in enumerate(found)
        ]

    def automations(self) -> list[Automation]:
        """Every sensor and schedule, by name."""
        data = self._query(documents.AUTOMATIONS, repository=self._repository())
        found = answers.to_automations(data["sensorsOrError"]["results"], data["schedulesOrError"]["results"])
        return [item for item in found if self._sees(source_of(item.job))]

    def automations_of(self, source: str) -> list[Automation]:
        """The change sensor and the schedules of one source, by name; none when Dagster does not know it.

        The sensor that starts the runs of all sources is not among them.
        """
        if not self._sees(source):
            return []
        found = self._query(documents.AUTOMATIONS_OF, job={**self._repository(), "pipelineName": job_of(source)})["job"]
        if found["__typename"] == "PipelineNotFoundError":
            return []
        job = self._done(found)
        own = [item for item in job["sensors"] if item["name"] == f"{source}_changes"]
        return answers.to_automations(own, job["schedules"])

    def launch(
        self, source: str, *, shards: int = 1, stages: Sequence[str] = (), tags: Mapping[str, str] | None = None
    ) -> str:
        """Run a source's chain, or some of its stages, over every shard; returns the id of the run or backfill."""
        selection = [{"path": [source, stage]} for stage in stages or STAGES]
        named = {"rag/sync": source, **(tags or {})}
        if shards == 1:
            return self.launch_job(job_of(source), assets=selection if stages else (), tags=named)
        params = {
            "assetSelection": selection,
            "partitionNames": [str(shard) for shard in range(shards)],
            # They are runs of Dagster's own job, not of the source's, by whose tag a run that died is begun again.
            "tags": _tags({**named, "dagster/max_retries": str(MAX_CRASH_RETRIES)}),
        }
        return str(self._do(documents.BACKFILL, "launchPartitionBackfill", params=params)["backfillId"])

    def launch_job(
        self, job: str, *, assets: Sequence[dict[str, Any]] = (), tags: Mapping[str, str] | None = None
    ) -> str:
        """Run a job, or some of its assets; returns the id of the run."""
        selector: dict[str, Any] = {**self._repository(), "pipelineName": job}
        if assets:
            selector["assetSelection"] = list(assets)
        metadata = {"tags": _tags(tags or {})}
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": metadata}
        return str(self._do(documents.LAUNCH, "launchRun", params=params)["run"]["runId"])

    def under_way(self, source: str, *, watched: bool, read_before: bool) -> str:
        """The id of a run or backfill that brings all of a source up to date, so that no other is needed; else empty.

        One that waits will see everything. One that has begun may have missed the newest changes: it is enough when
        the change sensor is on (`watched`), unless it lists only changes of a source that was `read_before`.
        """
        own = [item for item in self.backfills() if answers.source_of_backfill(item) == source]
        if requested := next((str(item["id"]) for item in own if item["status"] == "REQUESTED"), ""):
            return requested
        found = self.runs(job=job_of(source), statuses=(*WAITING, "STARTED"))
        waiting = [run for run in found if run.status in WAITING]
        begun = [run for run in found if watched and run.status == "STARTED" and not (run.changes and read_before)]
        return next((run.run_id for run in (*waiting, *begun)), "")

    def retry(self, run_id: str) -> str:
        """Rerun the failed steps of a run; returns the id of the new run."""
        params = {"parentRunId": run_id, "strategy": "FROM_FAILURE"}
        return str(self._do(documents.RETRY, "launchRunReexecution", params=params)["run"]["runId"])

    def active_work(self, source: str) -> tuple[list[str], list[str]]:
        """Ids of backfills and of runs of a source that go on. The runs of a backfill have its name as a tag."""
        backfills = [
            str(item["id"])
            for item in self.backfills(_SEARCHED_BACKFILLS)
            if item["status"] == "REQUESTED" and answers.source_of_backfill(item) == source
        ]
        tagged = {"tags": [{"key": "rag/sync", "value": source}], "statuses": list(GOING_ON)}
        runs = [
            *self.runs(_SEARCHED_RUNS, job=job_of(source), statuses=GOING_ON),
            *self.search_runs(tagged, _SEARCHED_RUNS),
        ]
        return backfills, list(dict.fromkeys(run.run_id for run in runs))

    def cancel_backfill(self, backfill_id: str) -> None:
        """Start no further runs of a backfill."""
        self._do(documents.CANCEL_BACKFILL, "cancelPartitionBackfill", id=backfill_id)

    def terminate(self, run_id: str, *, ended_ok: bool = False) -> None:
        """Stop a run; one that has ended is refused, or with `ended_ok` left alone."""
        answer = self._query(documents.TERMINATE, id=run_id)["terminateRun"]
        if not (ended_ok and answer["__typename"] == "TerminateRunFailure"):
            self._done(answer)

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

    def check(self, automation: Automation) -> str:
        """Evaluate a sensor now without starting runs; returns why it would start none, else empty.

        Refused with what the source answered when it cannot be read.
        """
        return str(self._evaluate({**self._repository(), "sensorName": automation.name}).get("skipReason") or "")

    def _evaluate(self, selector: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        data = self._query(documents.CHECK_SENSOR, seconds=seconds, selector=selector)
        result: dict[str, Any] = self._done(data["sensorDryRun"])["evaluationResult"]
        if error := result.get("error"):
            raise self._error(Trouble.REFUSED, str([error, *(error.get("causes") or ())][-1]["message"]))
        return result

    def load_sources(self) -> None:
        """Have the watcher of the source files load what has changed, and wait until Dagster knows it.

        A reload beside the watcher's own would replace the process that evaluates all sensors twice.
        """
        deadline = time.monotonic() + RELOAD_SECONDS
        before, wanted = "", None
        while (loaded := self.loaded_files()) != wanted:
            if loaded != before:  # the first time, and when files changed again meanwhile
                before, wanted = loaded, self.evaluate_files()
            elif time.monotonic() > deadline:
                raise self._error(Trouble.TIMEOUT, "the sources were not loaded in time")
            else:
                time.sleep(_POLL_SECONDS)

    def evaluate_files(self) -> str:
        """Have the watcher of the source files load what has changed; returns the fingerprint that it saw."""
        return str(self._evaluate({**self._repository(), "sensorName": FILES_SENSOR}, RELOAD_SECONDS)["cursor"])

    def loaded_files(self) -> str:
        """The fingerprint of the source files that the code location has loaded; empty when it did not load at all."""
        selector = {**self._repository(), "sensorName": FILES_SENSOR}
        answer = self._query(documents.SENSOR_TAGS, seconds=RELOAD_SECONDS, checked=False, selector=selector)
        found = answer["sensorOrError"]
        if found["__typename"].endswith("NotFoundError"):
            return ""
        return next((str(tag["value"]) for tag in self._done(found)["tags"] if tag["key"] == FILES_TAG), "")

    def reload(self) -> None:
        """Load the code location again. Refused with what is wrong with its code or a source file."""
        answer = self._query(documents.RELOAD, seconds=RELOAD_SECONDS, name=self._location)
        entry = self._done(answer["reloadRepositoryLocation"])
        self._done(entry.get("locationOrLoadError") or entry)

    def backfills(self, limit: int = 10) -> list[dict[str, Any]]:
        """The newest backfills as Dagster describes them."""
        asked = limit if self._sources is None else _SEARCHED_BACKFILLS
        found = self._query(documents.BACKFILLS, limit=asked)["partitionBackfillsOrError"]["results"]
        return [item for item in found if self._sees(answers.source_of_backfill(item))][:limit]

    def _repository(self) -> dict[str, Any]:
        return {"repositoryName": REPOSITORY, "repositoryLocationName": self._location}

    def _do(self, document: str, field: str, **variables: Any) -> dict[str, Any]:
        return self._done(self._query(document, **variables)[field])

    def _done(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer["__typename"].endswith(("Error", "Failure", "Invalid")):
            raise self._failed(Trouble.REFUSED, str(answer.get("message", "")))
        return answer

    def _failed(self, trouble: Trouble, message: str) -> Exception:
        """Make the error of an answer; a code server that did not answer Dagster in time is no refusal."""
        return self._error(Trouble.TIMEOUT, "") if _CODE_SERVER.search(message) else self._error(trouble, message)

    def _query(
        self, document: str, *, seconds: float | None = None, checked: bool = True, **variables: Any
    ) -> dict[str, Any]:
        with self._guard():
            answer = self._post({"query": document, "variables": variables}, seconds)
        data, errors = answer.get("data"), answer.get("errors") or ()
        if not isinstance(data, dict) or any(value is None for value in data.values()):
            # An error of the execution has a path in the answer, one of the query itself has none.
            trouble = Trouble.FAILED if all(error.get("path") for error in errors) else Trouble.INVALID
            raise self._failed(trouble, "\n".join(str(error.get("message", "")) for error in errors))
        for field, found in data.items():
            if checked and field.endswith("OrError"):
                self._done(found)
        return data

    def _post(self, body: dict[str, Any], seconds: float | None) -> dict[str, Any]:
        try:
            limit = httpx.USE_CLIENT_DEFAULT if seconds is None else seconds
            answer = self._http.post(self._url, json=body, timeout=limit).json()
        except httpx.TimeoutException:
            raise self._error(Trouble.TIMEOUT, "") from None
        except (httpx.HTTPError, ValueError):
            raise self._error(Trouble.DOWN, "") from None
        if not isinstance(answer, dict):
            raise self._error(Trouble.DOWN, "")
        return answer


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
