"""The first ingest: launch the job of each source through Dagster and wait until it ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from rag_assets import LOCATION
from rag_assets.version_tags import CHANGES, LISTING_TAG, SYNC_TAG, TOKEN_TAG, current_version_tag
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.dagster import DagsterApi, storage_failure
from ragctl.local_stack.counts import CountReader
from ragctl.local_stack.display import Display

REPOSITORY = "__repository__"
STAGES = ("documents", "chunks", "embeddings", "index")
_RECENT_SECONDS = 3600
"""Far more than clocks differ; it only keeps the list short."""
_RELOAD_SECONDS = 120.0
_POLL_SECONDS = 1.0
_WATCHING_SHARE = 0.1
"""Share of the time that counting may take, so that it does not slow down the ingest of a large corpus."""
_FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
_WAITING = {"QUEUED", "NOT_STARTED"}
_FILES_SENSOR, _FILES_TAG = "source_files", "rag/source_files"
_PARTITION_TAG = "dagster/partition"
_WILL_RETRY_TAG = "dagster/will_retry"
_RETRIED_BY_TAG = "dagster/auto_retry_run_id"

_RUNS = """query($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 1000) { __typename
  ... on Runs { results { runId jobName status creationTime tags { key value } } } ... on Error { message } } }"""
_SENSOR = """query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { __typename
  ... on Sensor { tags { key value } sensorState { status } } } }"""
_EVALUATE = (
    """mutation($selector: SensorSelector!) { sensorDryRun(selectorData: $selector, cursor: null) { __typename } }"""
)
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } ... on PipelineNotFoundError { message }
  ... on UnauthorizedError { message } } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) { __typename
  ... on LaunchBackfillSuccess { backfillId launchedRunIds } ... on PythonError { message }
  ... on UnauthorizedError { message } } }"""

_TYPED = ("rag_core.errors.", "dagster._core.definitions.events.Failure: ")
"""How the texts of errors begin that name a reason code."""
_EVENTS = """query($id: ID!, $after: String) { logsForRun(runId: $id, afterCursor: $after, limit: 1000) { __typename
  ... on EventConnection { cursor hasMore events {
    ... on AssetCheckEvaluationEvent { evaluation { success severity checkName description } }
    ... on ExecutionStepFailureEvent { error { message causes { message } } }
    ... on RunFailureEvent { error { message causes { message } } } } } } }"""


@dataclass(frozen=True, slots=True)
class SourceJob:
    """How Dagster knows a source: `key` names its asset group and begins its job's name; partitions are its shards.

    `tenant` is whose documents are counted meanwhile.
    """

    source: str
    key: str
    shards: int
    tenant: str = ""

    @property
    def name(self) -> str:
        return f"{self.key}_sync"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run (or the runs of all shards) of a source ended: SUCCESS, FAILURE or CANCELED, and why it failed."""

    source: str
    status: str
    seconds: float
    reason: str = ""

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"


def source_jobs(settings: Settings) -> dict[str, SourceJob]:
    """The job of every configured source that has runs, by source name; sources with a wrong file have none."""
    from rag_assets.config import read_sources

    sources = read_sources(settings.effective_sources_dir).sources
    return {item.name: SourceJob(item.name, item.key, item.shards, item.tenant) for item in sources if item.has_runs}


def reload_changed(api: DagsterApi, settings: Settings) -> bool:
    """Have the code location reload when a source file has changed since it was loaded; returns whether it had.

    The watcher of the files is asked for it: a reload beside its own would replace the process that evaluates all
    sensors twice. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`) when it does not load.
    """
    from rag_assets.config import files_fingerprint

    asked, deadline = "", time.monotonic() + _RELOAD_SECONDS
    while _loaded_files(api) != (now := files_fingerprint(settings.effective_sources_dir)):
        if now != asked:
            api.query(_EVALUATE, selector=_sensor_selector(_FILES_SENSOR))
        elif time.monotonic() > deadline:
            said = "the code location did not load the source files; see `rag logs dagster-code`"
            raise Unavailable(Reason.DAGSTER_UNAVAILABLE, said)
        else:
            time.sleep(_POLL_SECONDS)
        asked = now
    return bool(asked)


def _loaded_files(api: DagsterApi) -> str:
    """The fingerprint of the source files that the code location has loaded. Reloads it when it did not load at all."""
    if "tags" not in (sensor := _sensor(api, _FILES_SENSOR)):
        api.reload(LOCATION)
        sensor = _sensor(api, _FILES_SENSOR)
    return next((str(tag["value"]) for tag in sensor.get("tags", []) if tag["key"] == _FILES_TAG), "")


def _sensor(api: DagsterApi, name: str) -> dict[str, Any]:
    """Tags and state of a sensor; neither of one that Dagster does not know."""
    found: dict[str, Any] = api.query(_SENSOR, selector=_sensor_selector(name))["sensorOrError"]
    return found


def _sensor_selector(name: str) -> dict[str, str]:
    return {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION, "sensorName": name}


def launch(api: DagsterApi, job: SourceJob, version_tag: str = "") -> None:
    """Ask Dagster for a run of the whole chain, of every shard. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`).

    `version_tag` is what the source looks like now: the change sensor then starts no run for the same change.
    """
    tags = [{"key": SYNC_TAG, "value": job.key}]
    if version_tag:
        tags.append({"key": TOKEN_TAG, "value": version_tag})
    if job.shards == 1:
        launch_run(api, job.name, tags, what=f"source {job.source}")
        return
    selection = [{"path": [job.key, stage]} for stage in STAGES]
    shards = [str(shard) for shard in range(job.shards)]
    params: dict[str, Any] = {"assetSelection": selection, "partitionNames": shards, "tags": tags}
    _require_begun(api.query(_BACKFILL, params=params)["launchPartitionBackfill"], f"source {job.source}")


def launch_run(api: DagsterApi, name: str, tags: Sequence[dict[str, str]] = (), *, what: str = "") -> str:
    """Ask for a run of a job and return its id. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`)."""
    selector = {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION, "pipelineName": name}
    params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": [*tags]}}
    answer = api.query(_LAUNCH, params=params)["launchRun"]
    _require_begun(answer, what or f"job {name}")
    return str(answer["run"]["runId"])


def await_run(api: DagsterApi, run_id: str, seconds: float) -> None:
    """Return when a run ended well. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`) when not, or not in time."""
    deadline, state = time.monotonic() + seconds, "unknown"
    while state not in _FINISHED and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        state = next((str(run["status"]) for run in _runs(api, {"runIds": [run_id]})), state)
    if state != "SUCCESS":
        why = failure_reason(api, run_id) if state == "FAILURE" else f"not ended after {seconds:g} s"
        raise Unavailable(Reason.DAGSTER_UNAVAILABLE, f"run {run_id} is {state}: {why}")


def _require_begun(answer: dict[str, Any], what: str) -> None:
    if not answer["__typename"].endswith("Success"):
        message = str(answer.get("message", answer["__typename"])).strip()
        said = f"{what}: Dagster did not start a run: {message.splitlines()[0]}"
        raise storage_failure(message) or Unavailable(Reason.DAGSTER_UNAVAILABLE, said)


def runs_of(api: DagsterApi, job: SourceJob) -> list[dict[str, Any]]:
    """All runs of a source."""
    found = {}
    # Runs of a backfill over shards belong to Dagster's own job; our tag names their source.
    for chosen in ({"pipelineName": job.name}, {"tags": [{"key": SYNC_TAG, "value": job.key}]}):
        found.update({run["runId"]: run for run in _runs(api, chosen)})
    return list(found.values())


def _runs(api: DagsterApi, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = api.query(_RUNS, filter=chosen)["runsOrError"]["results"]
    return runs


def failure_reason(api: DagsterApi, run_id: str) -> str:
    """Why a run failed, in one line: the typed error behind its first failure, else the blocking check that failed,
    else the innermost cause."""
    cursor, more = None, True
    blocked: list[str] = []
    while more:
        page = api.query(_EVENTS, id=run_id, after=cursor)["logsForRun"]
        for event in page.get("events", []):
            if check := event.get("evaluation"):
                blocked += _blocking(check)
            elif error := event.get("error"):
                chain = [str(one["message"]).strip().partition("\n")[0] for one in (error, *error.get("causes", []))]
                typed = [line.partition(": ")[2] for line in chain if line.startswith(_TYPED)]
                return (typed or blocked or chain[-1:])[0]
        cursor, more = page.get("cursor"), page.get("hasMore", False)
    return ""


def _blocking(check: dict[str, Any]) -> list[str]:
    """What a failed check says, which begins with its reason code; nothing of one that passed or only warns."""
    if check["success"] or check["severity"] != "ERROR":
        return []
    return [str(check["description"] or f"the check {check['checkName']} failed")]


class Sync:
    """Launches and follows the runs of sources. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api = DagsterApi(settings)
        self._began = time.time()
        reload_changed(self._api, settings)
        self.jobs = source_jobs(settings)
        self._runs = {job.source: runs_of(self._api, job) for job in self.jobs.values()}
        # What had ended before says nothing about now; what was under way is followed like what is launched.
        self._ignored = {run["runId"] for runs in self._runs.values() for run in runs if _ended(run)}

    def never_succeeded(self) -> list[SourceJob]:
        """Sources without a good run: `rag up` tries again what failed before."""
        return [job for job in self.jobs.values() if not self._has_run(job, {"SUCCESS"})]

    def under_way(self) -> list[SourceJob]:
        """Sources with a run that had not ended when this object was made."""
        return [job for job in self.jobs.values() if not all(_ended(run) for run in self._runs[job.source])]

    def get(self, source: str) -> SourceJob:
        """The job of one source. Raises `NotFound` (`SOURCE_NOT_FOUND`)."""
        if source not in self.jobs:
            known = ", ".join(sorted(self.jobs)) or "none"
            message = f"no source {source!r} has runs (topics are the stream worker's); there are: {known}"
            raise NotFound(Reason.SOURCE_NOT_FOUND, message)
        return self.jobs[source]

    def is_left_to_sensor(self, job: SourceJob) -> bool:
        """Whether the change sensor starts the first run: it evaluates a source without runs at once."""
        state = _sensor(self._api, f"{job.key}_changes").get("sensorState") or {}
        return not self._runs[job.source] and state.get("status") == "RUNNING"

    def start(self, jobs: Iterable[SourceJob]) -> None:
        """Launch a run for each that needs one.

        A run that waits will see all that is there now, and one in progress that was started for this same state of
        the source sees it too.
        """
        for job in jobs:
            if self._has_run(job, _WAITING):
                continue
            version_tag, partial = self._look_at(job)
            if not self._is_under_way(job, version_tag, partial=partial):
                launch(self._api, job, version_tag)

    def _look_at(self, job: SourceJob) -> tuple[str, bool]:
        """What the source looks like now, and whether runs that the sensor starts may list only what changed."""
        from rag_assets.config import find_sources
        from rag_assets.connectors import connector_context, open_connector
        from rag_core.content.sources import Incremental

        (config,) = find_sources(self._settings.effective_sources_dir, [job.source])
        with open_connector(config, connector_context(config, self._settings)) as connector:
            return current_version_tag(connector), isinstance(connector, Incremental)

    def _is_under_way(self, job: SourceJob, version_tag: str, *, partial: bool) -> bool:
        """Whether runs of all shards are in progress that were started for this state, and list the whole source."""
        running = [run for run in runs_of(self._api, job) if not _ended(run)]
        if partial and any(_ended(run) for run in self._runs[job.source]):
            # A sync also finds what a listing of changes cannot see. The first run lists everything.
            running = [run for run in running if _tag(run, LISTING_TAG) != CHANGES]
        # Dagster does not show this tag, but finds by it.
        same = {run["runId"] for run in _runs(self._api, {"tags": [{"key": TOKEN_TAG, "value": version_tag}]})}
        return sum(run["runId"] in same for run in running) >= job.shards

    def _has_run(self, job: SourceJob, states: set[str]) -> bool:
        return any(run["status"] in states for run in self._runs[job.source])

    def wait(self, jobs: list[SourceJob], display: Display) -> list[Outcome]:
        """Follow the runs until all have ended, showing how many documents there are and what happens meanwhile."""
        with closing(CountReader(self._settings)) as counts:
            return self._follow(jobs, display, counts)

    def _follow(self, jobs: list[SourceJob], display: Display, counts: CountReader) -> list[Outcome]:
        waiting = {job.source: job for job in jobs}
        outcomes = []
        while waiting:
            looked = time.monotonic()
            ended = self._outcomes(waiting.values())
            counts.refresh(job.tenant for job in waiting.values())
            for outcome in ended:
                outcomes.append(outcome)
                job = waiting.pop(outcome.source)
                line = counts.result(job.tenant, job.source, outcome.status, outcome.reason)
                display.ready(f"ingest {outcome.source}", outcome.seconds, line)
            for job in waiting.values():
                done, what = counts.progress(job.tenant, job.source)
                display.progress(f"ingest {job.source}", done, None, what)
            pause = max(_POLL_SECONDS, (time.monotonic() - looked) / _WATCHING_SHARE)
            time.sleep(pause if waiting else 0)
        return outcomes

    def _outcomes(self, jobs: Iterable[SourceJob]) -> list[Outcome]:
        """The jobs of `jobs` whose runs have all ended."""
        recent = _runs(self._api, {"createdAfter": self._began - _RECENT_SECONDS})
        found = []
        for job in jobs:
            ours = [run for run in recent if _belongs(run, job)] or runs_of(self._api, job)
            followed = [run for run in ours if run["runId"] not in self._ignored]
            if followed and all(_ended(run) for run in followed):
                found.append(self._outcome(job, followed))
        return found

    def _outcome(self, job: SourceJob, runs: list[dict[str, Any]]) -> Outcome:
        newest = _not_superseded(runs)
        states = {run["status"] for run in newest}
        worst = next((state for state in ("FAILURE", "CANCELED") if state in states), "SUCCESS")
        failed = [run["runId"] for run in newest if run["status"] == "FAILURE"]
        reason = next((why for run in failed if (why := failure_reason(self._api, run))), "")
        return Outcome(job.source, worst, time.time() - self._began, reason)

    def close(self) -> None:
        """Close the connection."""
        self._api.close()


def _not_superseded(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest run of each shard, and what came after it for changes alone.

    What failed before is no news: Dagster repeated it, or the source was mended and another run asked for.
    """
    newest: dict[tuple[str, bool], dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: float(run["creationTime"])):
        shard, partial = _tag(run, _PARTITION_TAG), _tag(run, LISTING_TAG) == CHANGES
        newest[shard, partial] = run
        if not partial:
            newest.pop((shard, True), None)
    return list(newest.values())


def _belongs(run: dict[str, Any], job: SourceJob) -> bool:
    return bool(run["jobName"] == job.name or _tag(run, SYNC_TAG) == job.key)


def _tag(run: dict[str, Any], name: str) -> str:
    return next((str(tag["value"]) for tag in run["tags"] if tag["key"] == name), "")


def _ended(run: dict[str, Any]) -> bool:
    """Whether the run has ended for good: a failed run that Dagster is about to repeat has not."""
    about_to_retry = _tag(run, _WILL_RETRY_TAG) == "true" and not _tag(run, _RETRIED_BY_TAG)
    return run["status"] in _FINISHED and not about_to_retry
