"""Bring sources up to date: wait for the stream worker's first loads, and launch and follow Dagster's runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rag_assets.version_tags import CHANGES, LISTING_TAG, SYNC_TAG, TOKEN_TAG, current_version_tag
from rag_clients.dagster import DagsterClient
from rag_clients.dagster_answers import DagsterRun, failure_reason
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.dagster import dagster_client
from ragctl.local_stack.counts import CountReader
from ragctl.local_stack.display import Display

_RECENT_SECONDS = 3600
"""Far more than clocks differ; it only keeps the list short."""
_RELOAD_SECONDS = 120.0
_POLL_SECONDS = 0.5
_WATCHING_SHARE = 0.1
"""Share of the time that counting may take, so that it does not slow down the ingest of a large corpus."""
_FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
_WAITING = {"QUEUED", "NOT_STARTED"}
_NOT_READING = {"QUEUED": "queued", "NOT_STARTED": "queued", "STARTING": "its process starts"}
"""A run that does not read yet, by its status: the cause that it waits for."""
_PARTITION_TAG = "dagster/partition"
_WILL_RETRY_TAG = "dagster/will_retry"
_RETRIED_BY_TAG = "dagster/auto_retry_run_id"


@dataclass(frozen=True, slots=True)
class SourceJob:
    """Dagster's names for a source: `key` names its asset group and begins its job's name; partitions are its shards.

    `tenant` is whose documents are counted meanwhile. `observable`: a stream worker may bring it in without a run.
    """

    source: str
    key: str
    shards: int
    tenant: str = ""
    observable: bool = False

    @property
    def name(self) -> str:
        return f"{self.key}_sync"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """End of the run (or of the runs of all shards) of a source: SUCCESS, FAILURE or CANCELED, and why it failed."""

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
    return {
        item.name: SourceJob(item.name, item.key, item.shards, item.tenant, item.is_observable and item.enabled)
        for item in sources
        if item.has_runs
    }


def reload_changed(api: DagsterClient, settings: Settings) -> bool:
    """Have the code location reload when a source file has changed since it was loaded; returns whether it had.

    The watcher of the files is asked for it: a reload beside its own would replace the process that evaluates all
    sensors twice. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`) when it does not load.
    """
    from rag_assets.config import files_fingerprint

    if not (loaded := api.loaded_files()):
        api.reload()
        loaded = api.loaded_files()
    asked, deadline = "", time.monotonic() + _RELOAD_SECONDS
    while loaded != (now := files_fingerprint(settings.effective_sources_dir)):
        if now != asked:
            api.evaluate_files()
        elif time.monotonic() > deadline:
            said = "the code location did not load the source files; see `rag logs dagster-code`"
            raise Unavailable(Reason.DAGSTER_UNAVAILABLE, said)
        else:
            time.sleep(_POLL_SECONDS)
        asked, loaded = now, api.loaded_files()
    return bool(asked)


def launch(api: DagsterClient, job: SourceJob, version_tag: str = "") -> None:
    """Ask Dagster for a run of the whole chain, of every shard. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`).

    `version_tag` is what the source looks like now: the change sensor then starts no run for the same change.
    """
    api.launch(job.key, shards=job.shards, tags={TOKEN_TAG: version_tag} if version_tag else {})


def await_run(api: DagsterClient, run_id: str, seconds: float) -> None:
    """Return when a run ended well. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`) when not, or not in time."""
    deadline, state = time.monotonic() + seconds, "unknown"
    while state not in _FINISHED and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        state = next((run.status for run in api.search_runs({"runIds": [run_id]})), state)
    if state != "SUCCESS":
        why = failure_reason(api.log(run_id)) if state == "FAILURE" else f"not ended after {seconds:g} s"
        raise Unavailable(Reason.DAGSTER_UNAVAILABLE, f"run {run_id} is {state}: {why}")


def runs_of(api: DagsterClient, job: SourceJob) -> list[DagsterRun]:
    """All runs of a source."""
    # Runs of a backfill over shards belong to Dagster's own job; our tag names their source.
    chosen: tuple[dict[str, object], ...] = (
        {"pipelineName": job.name},
        {"tags": [{"key": SYNC_TAG, "value": job.key}]},
    )
    return list({run.run_id: run for each in chosen for run in api.search_runs(each)}.values())


class Sync:
    """Brings sources up to date. Dagster is asked only about sources that need a run. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api = dagster_client(settings)
        self._began = time.time()
        self.jobs = source_jobs(settings)
        self._counts = CountReader(settings)
        self._left: set[str] = set()
        """Sources whose first load is left to the stream worker."""
        self._followed: dict[str, list[DagsterRun]] = {}

    @cached_property
    def _runs(self) -> dict[str, list[DagsterRun]]:
        """The runs of each source when Dagster was asked first, with the source files as they are now."""
        reload_changed(self._api, self._settings)
        return {job.source: runs_of(self._api, job) for job in self.jobs.values()}

    @cached_property
    def _ignored(self) -> set[str]:
        # What had ended before says nothing about now; what was under way is followed like what is launched.
        return {run.run_id for runs in self._runs.values() for run in runs if _ended(run)}

    def never_read(self) -> list[SourceJob]:
        """Sources without a good run that no worker has read either: `rag up` tries again what failed before."""
        self._counts.refresh(job.tenant for job in self.jobs.values())
        unread = [job for job in self.jobs.values() if not self._counts.is_read(job.tenant, job.source)]
        return [job for job in unread if not self._has_run(job, {"SUCCESS"})]

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

    def start(self, jobs: Iterable[SourceJob]) -> None:
        """Launch a run for each that needs one; the first load of a small source is left to a living stream worker.

        A run that waits will see all that is there now, and one in progress that was started for this same state of
        the source sees it too.
        """
        wanted = list(jobs)
        left = {job.source for job in self.first_loads(wanted)}
        self._launch(job for job in wanted if job.source not in left)

    def first_loads(self, jobs: Iterable[SourceJob]) -> list[SourceJob]:
        """Those of the sources whose first load is left to a living stream worker."""
        known = list(jobs)
        self._left = self._counts.left_to_workers(known)
        return [job for job in known if job.source in self._left]

    def _launch(self, jobs: Iterable[SourceJob]) -> None:
        for job in jobs:
            if self._has_run(job, _WAITING):
                continue
            version_tag, partial = self._look_at(job)
            if not self._is_under_way(job, version_tag, partial=partial):
                launch(self._api, job, version_tag)

    def _look_at(self, job: SourceJob) -> tuple[str, bool]:
        """Return what the source looks like now, and whether runs that the sensor starts may list only what changed."""
        from rag_assets.config import find_sources
        from rag_assets.connectors import connector_context, open_connector
        from rag_core.content.sources import Incremental

        (config,) = find_sources(self._settings.effective_sources_dir, [job.source])
        with open_connector(config, connector_context(config, self._settings)) as connector:
            return current_version_tag(connector), isinstance(connector, Incremental)

    def _is_under_way(self, job: SourceJob, version_tag: str, *, partial: bool) -> bool:
        """Return whether runs of all shards are in progress that were started for this state, and list the whole
        source."""
        running = [run for run in runs_of(self._api, job) if not _ended(run)]
        if partial and any(_ended(run) for run in self._runs[job.source]):
            # A sync also finds what a listing of changes cannot see. The first run lists everything.
            running = [run for run in running if run.tags.get(LISTING_TAG, "") != CHANGES]
        # Dagster does not show this tag, but finds by it.
        same = {run.run_id for run in self._api.search_runs({"tags": [{"key": TOKEN_TAG, "value": version_tag}]})}
        return sum(run.run_id in same for run in running) >= job.shards

    def _has_run(self, job: SourceJob, states: set[str]) -> bool:
        return any(run.status in states for run in self._runs[job.source])

    def wait(self, jobs: list[SourceJob], display: Display) -> list[RunOutcome]:
        """Follow the runs until all have ended, showing how many documents there are and what happens meanwhile."""
        outcomes = self.wait_for_worker(jobs, display)
        read = {outcome.source for outcome in outcomes}
        self._launch(job for job in jobs if job.source in self._left - read)
        return outcomes + self._wait([job for job in jobs if job.source not in read], display, self._outcomes)

    def wait_for_worker(self, jobs: Iterable[SourceJob], display: Display) -> list[RunOutcome]:
        """Follow the first loads that are left to a stream worker, until it has brought in each, or wants a run for it:
        because it is more than the worker brings in, or cannot be read."""
        left = [job for job in jobs if job.source in self._left]
        returned: set[str] = set()

        def ended(waiting: Sequence[SourceJob]) -> list[RunOutcome]:
            left = self._counts.left_to_workers(waiting)
            self._counts.refresh(job.tenant for job in waiting)
            ready = [job for job in waiting if job.source not in left]
            returned.update(job.source for job in ready)
            seconds = time.time() - self._began
            read = [job for job in ready if self._counts.is_read(job.tenant, job.source)]
            return [RunOutcome(job.source, "SUCCESS", seconds) for job in read]

        return self._wait(left, display, ended, returned)

    def _wait(
        self, jobs: Iterable[SourceJob], display: Display,
        ended: Callable[[Sequence[SourceJob]], list[RunOutcome]], given_up: Container[str] = (),
    ) -> list[RunOutcome]:  # fmt: skip
        counts, waiting = self._counts, {job.source: job for job in jobs}
        outcomes = []
        while waiting:
            looked = time.monotonic()
            for outcome in ended([*waiting.values()]):
                outcomes.append(outcome)
                job = waiting.pop(outcome.source)
                line = counts.result(job.tenant, job.source, outcome.status, outcome.reason)
                display.ready(f"ingest {outcome.source}", outcome.seconds, line)
            waiting = {name: job for name, job in waiting.items() if name not in given_up}
            for job in waiting.values():
                waits_for = self._waits_for(job)
                done, what = counts.progress(job.tenant, job.source, running=not waits_for)
                display.progress(f"ingest {job.source}", done, None, waits_for or what)
            pause = max(_POLL_SECONDS, (time.monotonic() - looked) / _WATCHING_SHARE)
            time.sleep(pause if waiting else 0)
        return outcomes

    def _waits_for(self, job: SourceJob) -> str:
        """Return what keeps the run of a source from reading; empty when nothing does."""
        if job.source not in self._followed:
            return "documents; a stream worker reads it"
        under_way = [run.status for run in self._followed[job.source] if not _ended(run)]
        texts = [f"documents; {_NOT_READING[status]}" for status in under_way if status in _NOT_READING]
        return texts[0] if texts and len(texts) == len(under_way) else ""

    def _outcomes(self, jobs: Sequence[SourceJob]) -> list[RunOutcome]:
        """The jobs of `jobs` whose runs have all ended."""
        self._counts.refresh(job.tenant for job in jobs)
        recent = self._api.search_runs({"createdAfter": self._began - _RECENT_SECONDS})
        found = []
        for job in jobs:
            ours = [run for run in recent if _belongs(run, job)] or runs_of(self._api, job)
            followed = [run for run in ours if run.run_id not in self._ignored]
            self._followed[job.source] = followed
            if followed and all(_ended(run) for run in followed):
                found.append(self._outcome(job, followed))
        return found

    def _outcome(self, job: SourceJob, runs: list[DagsterRun]) -> RunOutcome:
        newest = _not_superseded(runs)
        states = {run.status for run in newest}
        worst = next((state for state in ("FAILURE", "CANCELED") if state in states), "SUCCESS")
        failed = [run.run_id for run in newest if run.status == "FAILURE"]
        reason = next((why for run in failed if (why := failure_reason(self._api.log(run)))), "")
        return RunOutcome(job.source, worst, time.time() - self._began, reason)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        self._counts.close()


def _not_superseded(runs: Iterable[DagsterRun]) -> list[DagsterRun]:
    """The newest run of each shard, and what came after it for changes alone.

    What failed before is no news: Dagster repeated it, or the source was mended and another run asked for.
    """
    newest: dict[tuple[str, bool], DagsterRun] = {}
    for run in sorted(runs, key=lambda run: run.created):
        shard, partial = run.tags.get(_PARTITION_TAG, ""), run.tags.get(LISTING_TAG, "") == CHANGES
        newest[shard, partial] = run
        if not partial:
            newest.pop((shard, True), None)
    return list(newest.values())


def _belongs(run: DagsterRun, job: SourceJob) -> bool:
    return bool(run.job == job.name or run.tags.get(SYNC_TAG, "") == job.key)


def _ended(run: DagsterRun) -> bool:
    """Return whether the run has ended for good: a failed run that Dagster is about to repeat has not."""
    about_to_retry = run.tags.get(_WILL_RETRY_TAG, "") == "true" and not run.tags.get(_RETRIED_BY_TAG, "")
    return run.status in _FINISHED and not about_to_retry
