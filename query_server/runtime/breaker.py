"""The circuit breaker around calls of handlers: which ends of a call are answers, and the gauge of open breakers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from rag_clients.breaker import CircuitBreaker
from rag_core.errors import DeadlineExceeded, PermissionDenied, Reason, Unavailable

COOLDOWN_SECONDS = 1.0
"""Time between two trials while the breaker is open."""
WAITED_SECONDS = 0.25
"""A call that was given up sooner says nothing about the index: its caller was in a hurry."""


class Breaker:
    """For one event loop. `threshold` silent calls in a row open it; any answer, good or bad, closes it.

    Silent calls are added to `gauge` and taken away again, so that it can be shared with other counts. `reason` is the
    error of `what`, a service that is gone; `cooldown` and `waited` are in seconds. Where callers decide how long they
    wait, `waited` is infinite: nobody who leaves early closes a service to others.
    """

    def __init__(
        self,
        threshold: int,
        *,
        gauge: Gauge,
        clock: Callable[[], float] = time.monotonic,
        reason: Reason = Reason.INDEX_UNAVAILABLE,
        what: str = "the index",
        cooldown: float = COOLDOWN_SECONDS,
        waited: float = WAITED_SECONDS,
    ) -> None:
        self._breaker = CircuitBreaker(threshold, cooldown, clock=clock)
        self._gauge = gauge
        self._clock = clock
        self._reason, self._what, self._waited = reason, what, waited
        self._answered_at = float("-inf")

    @property
    def open(self) -> bool:
        """True while calls are refused, apart from the trials."""
        return self._breaker.open

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call. Raises `Unavailable` while open and no trial is due.

        Cancellation after a while without an answer (the caller's deadline passed, or the caller left) counts as
        silence; so does `Unavailable`, the error of a server that is gone.
        """
        started = self._clock()
        if not self._breaker.let_through():
            raise Unavailable(self._reason, f"{self._what} does not respond; retry later")
        try:
            yield
        except DeadlineExceeded:
            self._given_up(started)
            raise
        except Exception as error:
            if isinstance(error, Unavailable) and error.reason is self._reason:
                self._failed()
            elif not (isinstance(error, PermissionDenied) and error.reason is Reason.EGRESS_FORBIDDEN):  # not called
                self._answered()
            raise
        except BaseException:
            self._given_up(started)
            raise
        else:
            self._answered()

    def _given_up(self, started: float) -> None:
        # An index that answered others meanwhile is slow, not silent: callers in a hurry must not close it for all.
        if self._clock() - started >= self._waited and self._answered_at < started:
            self._failed()

    def _answered(self) -> None:
        if self._breaker.answered():
            self._gauge.dec()
        self._answered_at = self._clock()

    def _failed(self) -> None:
        # Counted once it opens: a single silent call with no traffic after it must not look like a stuck index.
        if self._breaker.failed():
            self._gauge.inc()
