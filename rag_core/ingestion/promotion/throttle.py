"""Throttle of a build: while clients call, measures search latency and pauses the build when it grows too much."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.database import Store
from rag_core.errors import RagError
from rag_core.governance import usage
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

_CALIBRATION = 30
_WINDOW = 40
_EVERY_SECONDS = 0.1
_COUNT_SECONDS = 1.0
_LATE_SECONDS = 3.0
"""Servers report the calls of clients this late, in addition to their interval."""
_FIRST_PAUSE = 0.1
_FLOOR_SECONDS = 0.002
"""Searches below this count as fast whatever their ratio: twice a millisecond is noise."""


class Throttle:
    """Paces a build for the sake of clients: without calls of theirs it never pauses, because a search of its own that
    the build slows down delays nobody.

    While clients call, it sends a search every `_EVERY_SECONDS` in a separate thread. `pause` is called between two
    slices: it waits longer each time the 95th percentile of the last searches exceeds `slowdown` times the calibrated
    one, and less each time it does not. Failed searches are ignored.
    """

    def __init__(
        self,
        probe: Callable[[], object],
        calls: Callable[[], int] = lambda: 0,
        *,
        slowdown: float = 2.0,
        max_pause: float = 10.0,
        active_seconds: float = 5.0,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`calls` counts the calls of clients; they count as active for `active_seconds` after it last grew."""
        self._probe, self._calls = probe, calls
        self._slowdown, self._max_pause, self._wait = slowdown, max_pause, wait
        self._active_seconds, self._clock = active_seconds, clock
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._counted: int | None = None
        self._counted_at = self._called_at = float("-inf")
        self._pause = 0.0
        self.usual = _FLOOR_SECONDS
        self.paused_seconds = 0.0

    def __enter__(self) -> Self:
        """Measure search latency without the build, then begin to observe."""
        if self._max_pause > 0:
            timed = [seconds for seconds in (self._timed() for _ in range(_CALIBRATION)) if seconds is not None]
            if timed:
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
        self._recent.clear()
        if not self._clients_active:
            self._pause = 0.0
        elif recent and percentile(recent) > self._slowdown * self.usual:
            self._pause = min(self._max_pause, max(_FIRST_PAUSE, self._pause * 2))
        else:
            self._pause = self._pause / 2 if self._pause > _FIRST_PAUSE else 0.0
        if self._pause:
            self._wait(self._pause)
            self.paused_seconds += self._pause
        return self._pause

    def observe(self) -> None:
        """Count the calls of clients, and measure a search while they call."""
        try:
            self._count()
            if self._clients_active:
                self._recent.append(self._timed_search())
        except RagError:
            return

    @property
    def _clients_active(self) -> bool:
        return self._clock() - self._called_at < self._active_seconds

    def _count(self) -> None:
        now = self._clock()
        if now - self._counted_at < _COUNT_SECONDS:
            return
        self._counted_at, before = now, self._counted
        self._counted = self._calls()
        if before is not None and self._counted != before:
            self._called_at = now

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self.observe()

    def _timed(self) -> float | None:
        try:
            return self._timed_search()
        except RagError:
            return None

    def _timed_search(self) -> float:
        started = self._clock()
        self._probe()
        return self._clock() - started


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


def calls_of_clients(store: Store) -> Callable[[], int]:
    """Return a function that counts the calls of clients that query servers have reported."""

    def count() -> int:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)  # at midnight those of today begin at 0
        with store.engine.connect() as connection:
            return usage.store.count_calls(connection, since=yesterday)

    return count


def open_throttle(settings: Settings, probe: Callable[[], object], calls: Callable[[], int]) -> Throttle:
    """The throttle that the settings configure."""
    return Throttle(
        probe,
        calls,
        slowdown=settings.build_max_slowdown,
        max_pause=settings.build_max_pause_seconds,
        active_seconds=2 * settings.usage_seconds + _LATE_SECONDS,
    )
