"""Circuit breaker: after several calls in a row without an answer, refuse calls and let one at a time try."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Of one service. `threshold` calls in a row without an answer open it; any answer, good or bad, closes it.

    While it is open, one call is let through every `cooldown` seconds. Thread-safe.
    """

    def __init__(self, threshold: int, cooldown: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold, self._cooldown, self._clock = threshold, cooldown, clock
        self._lock = threading.Lock()
        self._silent = 0
        self._trial_at = 0.0

    @property
    def open(self) -> bool:
        """Whether calls are refused now, apart from the trials."""
        return self._silent >= self._threshold

    def let_through(self) -> bool:
        """Return whether a call may be made now; while open that is the trial, and the next one waits."""
        with self._lock:
            now = self._clock()
            if self.open:
                if now < self._trial_at:
                    return False
                self._trial_at = now + self._cooldown
            return True

    def answered(self) -> bool:
        """Record an answer; return whether it closed the breaker."""
        with self._lock:
            closed, self._silent = self.open, 0
            return closed

    def failed(self) -> bool:
        """Record a call without an answer; return whether it opened the breaker."""
        with self._lock:
            self._silent += 1
            if self.open:
                self._trial_at = self._clock() + self._cooldown
            return self._silent == self._threshold
