"""Throttle of a build: measures search latency and pauses the build when it grows too much."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.errors import RagError
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

_CALIBRATION = 30
_WINDOW = 40
_EVERY_SECONDS = 0.1
_FIRST_PAUSE = 0.1
_FLOOR_SECONDS = 0.002
"""Searches below this count as fast whatever their ratio: twice a millisecond is noise."""


class Throttle:
    """Sends a search every `_EVERY_SECONDS` in a separate thread while a build runs, and paces the build.

    `pause` is called between two slices: it waits longer each time the 95th percentile of the last searches exceeds
    `slowdown` times the calibrated one, and less each time it does not. Failed searches are ignored.
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
        """Measure search latency without the build, then keep measuring."""
        timed = [seconds for seconds in (self._timed() for _ in range(_CALIBRATION)) if seconds is not None]
        if timed and self._max_pause > 0:
            self.usual = max(_FLOOR_SECONDS, percentile(timed))
            self._thread = threading.Thread(target=self._watch, name="build-throttle", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def pause(self) -> float:
        """Wait for a time that depends on the searches since the last call; returns the seconds."""
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
    """The 95th percentile."""
    return float(np.percentile(seconds, 95))


def search_probe(index: VectorIndex, generation: str, dimensions: int, tenant: str) -> Callable[[], object]:
    """A hybrid search in the active generation, by a caller with access to public documents only."""
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
    """The throttle that the settings configure."""
    return Throttle(probe, slowdown=settings.build_max_slowdown, max_pause=settings.build_max_pause_seconds)
