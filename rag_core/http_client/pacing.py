"""Rate limits and retries for one host, honouring Retry-After."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import stamina

from rag_core.errors import RagError, Reason, Unavailable

T = TypeVar("T")
RETRIED_STATES: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529})


class Again(Exception):  # noqa: N818 - a signal to the retry loop
    """A transient failure: retry after `after` seconds if the host named a time; `error` is raised otherwise."""

    def __init__(self, error: RagError, after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


@dataclass(slots=True)
class Pacing:
    """Limits requests to `per_second` starts, `attempts` tries and waits of at most `longest` seconds. Thread-safe."""

    per_second: float = 5
    attempts: int = 4
    longest: float = 60
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _next: float = 0.0

    def run(self, attempt: Callable[[], T]) -> T:
        """Return the result of the first attempt without `Again`. Raises `Again.error` of the last attempt.

        A wait that the host requests is honoured up to `longest`; a longer one raises at once, because a run that
        sleeps for an hour looks like one that hangs.
        """
        retrying = stamina.RetryingCaller(attempts=self.attempts, timeout=None, wait_initial=0.5, wait_max=30)

        def paced() -> T:
            self.wait()
            return attempt()

        try:
            return retrying(self._pause, paced)
        except Again as again:
            raise again.error from None

    def wait(self) -> None:
        """Wait until the rate allows the next start."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + 1 / self.per_second
        if start > now:
            time.sleep(start - now)

    def _pause(self, error: Exception) -> bool | float:
        if not isinstance(error, Again):
            return False
        if error.after is None:
            return True
        return error.after if error.after <= self.longest else False


def check_state(status: int, headers: object, what: str) -> None:
    """Raise `Again` for a transient HTTP status. `headers` is a mapping with lower-case names."""
    if status not in RETRIED_STATES:
        return
    get = getattr(headers, "get", lambda _: None)
    reason = Reason.RATE_LIMITED if status == 429 else Reason.HTTP_STATUS
    raise Again(Unavailable(reason, f"{what} answers with status {status}"), retry_after(get("retry-after")))


def retry_after(value: str | None) -> float | None:
    """The header's wait in seconds, from either of its forms; `None` when it is missing or invalid."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
