"""Deadline of `rag up` for services that are not healthy yet.

A busy machine makes a start slow, and a service waits for the ones it needs: each is waited for while any of those that
are not healthy yet works, which is seen by the processor time it takes. One that hangs takes none.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

WINDOW_SECONDS = 60.0
WORK_SECONDS = 0.5
"""Processor time within a window that counts as work: more than a server takes that only polls."""
_LOOK_SECONDS = 1.0


class StartDeadline:
    """Shared by the services that one `rag up` starts. For one event loop."""

    def __init__(self, most: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` is the longest that any is waited for, in seconds."""
        self._clock = clock
        self._ends = clock() + most
        self._pids: dict[str, int] = {}
        self._windows: dict[str, tuple[float, float]] = {}
        """The beginning of a service's present window, and what its process had used by then."""
        self._last_work = clock()
        self._looked = float("-inf")

    def is_over(self, name: str, pid: int, *, idle: float) -> bool:
        """Return whether to stop waiting for a service, which runs as `pid`: after `idle` seconds without any work."""
        now = self._clock()
        if self._pids.get(name) != pid:  # it begins, or begins again
            self._pids[name], self._last_work = pid, now
            self._windows[name] = now, processor_seconds(pid)
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            for one in self._pids:
                self._look(one, now)
        return now > self._ends or now - self._last_work > idle

    def healthy(self, name: str) -> None:
        """Forget a service: its work says nothing about the others."""
        self._pids.pop(name, None)

    def _look(self, name: str, now: float) -> None:
        used = processor_seconds(self._pids[name])
        began, before = self._windows[name]
        if used - before >= WORK_SECONDS:
            self._last_work = now
        elif used >= before and now - began < WINDOW_SECONDS:
            return  # not yet; less than before: a child has ended
        self._windows[name] = now, used


def processor_seconds(pid: int) -> float:
    """Processor time of a process and its living children; 0 when there is none."""
    total = 0.0
    try:
        process = psutil.Process(pid) if pid > 0 else None
        for one in [process, *process.children(recursive=True)] if process is not None else []:
            times = one.cpu_times()
            total += times.user + times.system
    except psutil.Error:
        return total
    return total
