"""All listed sources of a worker: whose turn it is, the threads that look at them, and the runs that are wanted."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from rag_assets.config import read_sources
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.listed.folders import FolderWatcher
from rag_assets.stream_worker.listed.leases import SPARE_SECONDS, Leases
from rag_assets.stream_worker.listed.observed import ObservedSource
from rag_assets.stream_worker.listed.servers import ServerWatcher
from rag_core.content.parsing import Parser
from rag_core.database import Store, open_store
from rag_core.errors import RagError
from rag_core.governance.history import HistoryRecorder
from rag_core.ingestion.generations import TransformRegistry
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import ObservableSource, SourceName, WantedRun, observable_store
from rag_core.lazy import locked_property
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

log = get_logger(__name__)
REFRESH_SECONDS = 5.0
_STOP_SECONDS = 1.0
_FILES: SourceName = ("", "")
"""Stands for the folder of source files among the folders that are watched."""
_WAIT_SECONDS = 0.5
"""Longest wait for a run of the same source, before the changes are put off."""


class ObserverDependencies:
    """The resources of a pipeline with database connections of its own, so that streams never wait for one of them.

    Implements `StageDependencies`.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.settings: Settings = pipeline.settings.model_copy(update={"source_wait_seconds": _WAIT_SECONDS})

    @locked_property
    def store(self) -> Store:
        return open_store(self.settings)

    @property
    def recorder(self) -> HistoryRecorder:
        return self._pipeline.recorder

    @property
    def parser(self) -> Parser:
        return self._pipeline.parser

    @property
    def transform_registry(self) -> TransformRegistry:
        return self._pipeline.transform_registry

    @property
    def index(self) -> VectorIndex:
        return self._pipeline.index

    def close(self) -> None:
        """Close the database's connections."""
        self.store.close()


class SourceObserver:
    """Observes listed sources until it is to stop. `sources` are those that this worker has now."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        on_wanted: Callable[[], object] = lambda: None,
        refresh_seconds: float = REFRESH_SECONDS,
        spare_seconds: float = SPARE_SECONDS,
    ) -> None:
        self._pipeline, self._settings = pipeline, pipeline.settings
        self._refresh_seconds, self._spare = refresh_seconds, spare_seconds
        self._on_wanted = on_wanted
        self._sources: dict[SourceName, ObservedSource] = {}
        self._configs: dict[SourceName, SourceConfig] = {}
        self._files: object = None
        self._left: dict[SourceName, float] = {}
        """Sources that are left to runs, and until when."""
        self._agenda: list[tuple[float, SourceName]] = []
        """A heap of when sources are to be looked at, so that nothing goes through all of them for each look."""
        self._moved: deque[ObservedSource] = deque()
        """Sources whose next look is at another time than the agenda says; any thread adds to them."""
        self._ready: dict[SourceName, ObservedSource] = {}
        """Sources that are due or worked on."""
        self._served: dict[str, float] = {}
        """Time of the last look at a source of each tenant: the tenant that has waited longest is next."""
        self._wake = threading.Event()
        self._files_changed = threading.Event()
        self._folders = FolderWatcher(self._on_change)
        self._servers = ServerWatcher(self._settings, self._on_change)

    @property
    def sources(self) -> list[ObservedSource]:
        return list(self._sources.copy().values())

    def status(self) -> dict[str, Any]:
        """The worker's entry of its heartbeat, from which the sensor starts the runs that are wanted."""
        found = self.sources
        wanted = [
            asdict(WantedRun(*one.name, tag, one.newest_run.run_id)) for one in found if (tag := one.wanted) is not None
        ]
        failing = sum(bool(one.failures) for one in found)
        return {"state": "running", "observed": len(found), "failing": failing, "wanted": wanted}

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping`; what is being brought in is finished first."""
        watcher = threading.Thread(target=self._folders.run, args=(stopping,), name="folders", daemon=True)
        watcher.start()
        threads = self._settings.stream_source_threads
        with closing(ObserverDependencies(self._pipeline)) as resources, ThreadPoolExecutor(threads, "listed") as pool:
            leases = Leases(resources.store, spare_seconds=self._spare)
            refresh = 0.0
            while not stopping.is_set():
                if time.monotonic() >= refresh or self._files_changed.is_set():
                    self._files_changed.clear()
                    self._refresh(leases)
                    refresh = time.monotonic() + self._refresh_seconds
                self._start_due(pool, resources, threads)
                self._wake.wait(self._pause(refresh))  # at most a second, to see `stopping`
                self._wake.clear()
            leases.close()
        self._servers.watch({})
        watcher.join()

    def _refresh(self, leases: Leases) -> None:
        """Take the sources as they are configured now, and share them with the other workers."""
        self._read_files()
        try:
            with self._pipeline.store.engine.connect() as connection:
                enabled = {name: config.enabled for name, config in self._configs.items()}
                known = observable_store.observable(connection, enabled)
                workers = observable_store.count_observers(
                    connection, within_seconds=self._settings.stream_lost_seconds
                )
            leases.share({name for name in known if self._can_observe(name)}, workers)
        except RagError as error:  # the streams say so too
            log.warning("sources_not_shared", reason=error.reason, problem=error.message)
            leases.close()
        for name in self._sources.keys() - leases.held:
            del self._sources[name]
        self._left = {one.name: one.left_until for one in self.sources if one.left_until} | {
            name: until for name, until in self._left.items() if until > time.monotonic()
        }
        for name in leases.held:
            self._take(name, known[name])
        read = {name: one.config for name, one in self._sources.items() if one.tag and not one.failures}
        self._folders.watch(_roots(read) | {_FILES: str(self._settings.effective_sources_dir)})
        self._servers.watch(read)

    def _can_observe(self, name: SourceName) -> bool:
        known = self._sources.get(name)
        if known is not None and known.tag and not known.failures and not known.left_until:
            return True  # its last look says so
        options, left = self._configs[name].options, self._left.get(name, 0.0)
        mounted = not isinstance(options, FilesystemOptions) or Path(options.root).is_dir()
        return mounted and left < time.monotonic()

    def _take(self, name: SourceName, newest_run: ObservableSource) -> None:
        config, one = self._configs[name], self._sources.get(name)
        if one is None:
            one = self._sources[name] = ObservedSource(config, newest_run)
            self._moved.append(one)
        elif one.configure(config, newest_run):
            self._moved.append(one)

    def _read_files(self) -> None:
        folder = self._settings.effective_sources_dir
        if (seen := _file_states(folder)) != self._files:
            self._files, self._left = seen, {}
            self._configs = {(one.tenant, one.name): one for one in read_sources(folder).sources if one.is_observable}

    def _on_change(self, name: SourceName) -> None:
        one = self._sources.get(name)
        if name == _FILES:
            self._files_changed.set()
        elif one is not None:
            one.changed = True
            self._moved.append(one)
        self._wake.set()

    def _start_due(self, pool: ThreadPoolExecutor, resources: ObserverDependencies, threads: int) -> None:
        now = time.monotonic()
        self._collect_due(now)
        while (one := next_due(self._ready.values(), self._served, threads, now)) is not None:
            one.working, self._served[one.config.tenant] = True, time.monotonic()
            pool.submit(self._look, one, resources)

    def _collect_due(self, now: float) -> None:
        while self._moved:
            one = self._moved.popleft()
            if one.working:
                continue  # it is added again at the end
            if self._ready.get(one.name) is one:
                del self._ready[one.name]
            if (current := self._sources.get(one.name)) is not None:
                heappush(self._agenda, (current.next_look, current.name))
        while self._agenda and self._agenda[0][0] <= now:
            due = self._sources.get(heappop(self._agenda)[1])
            if due is not None and due.name not in self._ready and due.is_due(now):  # it may have another time since
                self._ready[due.name] = due

    def _look(self, one: ObservedSource, resources: ObserverDependencies) -> None:
        before, one.reports_all = one.wanted, self._folders.reports_all(one.name)
        try:
            one.look(resources)
        finally:
            one.working = False
            self._moved.append(one)
            self._wake.set()
        if one.wanted not in (before, None):
            self._on_wanted()

    def _pause(self, refresh: float) -> float:
        # What is due already waits for a thread, whose end wakes this one.
        first = self._agenda[0][0] if self._agenda else refresh
        return max(0.0, min(_STOP_SECONDS, min(first, refresh) - time.monotonic()))


def next_due(
    sources: Iterable[ObservedSource], served: Mapping[str, float], threads: int, now: float
) -> ObservedSource | None:
    """Return the source to look at next, if any is due and may start.

    A tenant with less at work is first, then the one that waits longest; of its sources those that reported a change.
    The last free thread is for folders: hosts that do not answer never hold up what this machine reported.
    """
    found = list(sources)
    working = Counter(one.config.tenant for one in found if one.working)
    free = threads - working.total()
    if free <= 0:
        return None
    due = [one for one in found if one.is_due(now)]
    if free == 1 and threads > 1:
        due = [one for one in due if isinstance(one.config.options, FilesystemOptions)]
    return min(due, key=lambda one: (working[one.config.tenant], served.get(one.config.tenant, 0.0), not one.changed,
                                     one.due), default=None)  # fmt: skip


def _roots(configs: Mapping[SourceName, SourceConfig]) -> dict[SourceName, str]:
    """The folders to watch: those that could be read, since a place that is refused is not watched either."""
    return {name: one.options.root for name, one in configs.items() if isinstance(one.options, FilesystemOptions)}


def _file_states(folder: Path) -> object:
    try:
        with os.scandir(folder) as entries:
            states = [(entry.name, entry.stat()) for entry in entries]
        return sorted((name, state.st_mtime_ns, state.st_size) for name, state in states)
    except OSError:
        return None
