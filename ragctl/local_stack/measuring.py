"""Memory and disk of the local stack for the history: of what does not record itself (`rag_core.governance.history`).

In Compose and in a cluster each container has limits and metrics of its own; here nothing else looks.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rag_core.governance.history import HistoryRecorder, StoredSeries, Tally
from rag_core.platform import resident_bytes
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.services import FIRST_QUERY_SERVER
from ragctl.local_stack.supervisor import Supervisor

SERVICE = "local-stack"
DISK_SECONDS = 300.0
"""Folders are measured less often than memory: their files are many."""
_RECORD_THEMSELVES = frozenset({"stream", "dagster-code"})


@contextmanager
def recording(settings: Settings, data_dir: DataDir) -> Iterator[None]:
    """Record the services of the supervisor while inside, on a thread of its own."""
    from rag_core.database import Store, open_store

    opened: list[Store] = []

    def store() -> Store:
        if not opened:
            opened.append(open_store(settings))
        return opened[0]

    recorder = HistoryRecorder(store, service=SERVICE, measure=StackMeasurement(settings, data_dir))
    recorder.start()
    try:
        yield
    finally:
        recorder.close()
        for one in opened:
            one.close()


class StackMeasurement:
    """Samples the resident memory of supervised processes, and the size of the folders of the stack."""

    def __init__(self, settings: Settings, data_dir: DataDir, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._supervisor = Supervisor(data_dir)
        self._folders = {"index": settings.index_dir, "dagster": data_dir.dagster, "logs": data_dir.logs}
        self._root = data_dir.root
        self._clock = clock
        self._sizes: dict[str, int] = {}
        self._due = float("-inf")

    def __call__(self, tally: Tally, at: int) -> None:
        """Take the samples of the minute that begins at this Unix time."""
        for name, info in self._supervisor.infos().items():
            if info.alive and name not in _RECORD_THEMSELVES and not name.startswith(FIRST_QUERY_SERVER):
                found = resident_bytes(info.pid)
                if found is not None:
                    tally.sample(StoredSeries.MEMORY, found, label=name, at=at)
        if self._clock() >= self._due:
            self._due = self._clock() + DISK_SECONDS
            self._sizes = {name: folder_bytes(folder) for name, folder in self._folders.items() if folder.is_dir()}
        for name, size in self._sizes.items():
            tally.sample(StoredSeries.DISK, size, label=name, at=at)
        with suppress(OSError):
            tally.sample(StoredSeries.DISK_FREE, shutil.disk_usage(self._root).free, label="RAG_HOME", at=at)


def folder_bytes(folder: Path) -> int:
    """Sum up what the files below a folder take on the disk; a file that is gone or closed to us meanwhile counts
    nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(Path(place, name)).st_blocks * 512
    return total
