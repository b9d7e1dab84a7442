"""Throttle of a build: it measures search latency and pauses the build when that grows too much."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import numpy as np

from rag_core.embedding import Vectors
from rag_core.errors import RagError
from rag_core.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

_CALIBRATION = 30
_WINDOW = 40
_EVERY_SECONDS = 0.1
_FIRST_PAUSE = 0.1
_FLOOR_SECONDS = 0.002
"""Searches below this are quick whatever their ratio: two times a millisecond is noise."""


class Throttle:
    """Sends a search every `_EVERY_SECONDS` in a thread of its own while a build runs, and paces the build by them.

    `pause` is called between two slices: it waits longer each time the 95th percentile of the last searches is above
    `slowdown` times that of the calibration, and less each time it is not. A probe that fails counts for nothing.
    """

    def __init__(
        self,
        probe: Callable[[], object],
        *,
        slowdown: float = 2.0,
        max_pause: float = 10.0,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._probe = probe
        self._slowdown, self._max_pause, self._wait = slowdown, max_pause, wait
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._pause = 0.0
        self.usual = _FLOOR_SECONDS
        self.paused_seconds = 0.0

    def __enter__(self) -> Self:
        """Measure how long searches take without the build, then go on measuring."""
        timed = [seconds for seconds in (self._timed() for _ in range(_CALIBRATION)) if seconds is not None]
        if timed and self._max_pause > 0:
            self.usual = max(_FLOOR_SECONDS, percentile(timed))
            self._thread = threading.Thread(target=self._watch, name="build-throttle", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def pause(self) -> float:
        """Wait as long as the searches since the last call ask for; returns the seconds."""
        recent = list(self._recent)
        if recent and percentile(recent) > self._slowdown * self.usual:
            self._pause = min(self._max_pause, max(_FIRST_PAUSE, self._pause * 2))
        else:
            self._pause = self._pause / 2 if self._pause > _FIRST_PAUSE else 0.0
        self._recent.clear()
        if self._pause:
            self._wait(self._pause)
            self.paused_seconds += self._pause
        return self._pause

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            seconds = self._timed()
            if seconds is not None:
                self._recent.append(seconds)

    def _timed(self) -> float | None:
        started = time.perf_counter()
        try:
            self._probe()
        except RagError:
            return None
        return time.perf_counter() - started


def percentile(seconds: list[float]) -> float:
    """The 95th."""
    return float(np.percentile(seconds, 95))


def search_probe(index: VectorIndex, generation: str, dimensions: int, tenant: str) -> Callable[[], object]:
    """A search of both legs in the generation readers are on, as a caller who may see what everyone may."""
    vector: Vectors = np.full(dimensions, 1 / np.sqrt(dimensions), dtype=np.float32)
    request = SearchRequest(
        tenant=tenant,
        acl=("everyone",),
        limit=10,
        mode=SearchMode.HYBRID,
        text="oil pump inspection",
        vector=vector,
        generation=generation,
    )
    return lambda: index.search(request)


def open_throttle(settings: Settings, probe: Callable[[], object]) -> Throttle:
    """A throttle as configured."""
    return Throttle(probe, slowdown=settings.build_max_slowdown, max_pause=settings.build_max_pause_seconds)
