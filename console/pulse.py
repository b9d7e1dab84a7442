"""Which parts answer: asked once for all sessions, so that every page hears of a part that went or came back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from console.clients import ServiceError


class Pulse:
    """Remembers for `seconds` which parts were down. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._down: frozenset[str] = frozenset()
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def down(self, probes: Mapping[str, Callable[[], object]]) -> frozenset[str]:
        """The parts whose probe fails because they cannot be reached. One session asks, the others take its answer."""
        if not self._lock.acquire(blocking=False):
            return self._down
        try:
            if time.monotonic() - self._asked >= self._seconds:
                self._down = frozenset(part for part, probe in probes.items() if _fails(probe))
                self._asked = time.monotonic()
            return self._down
        finally:
            self._lock.release()


def _fails(probe: Callable[[], object]) -> bool:
    try:
        probe()
    except ServiceError as error:
        return error.down
    return False
