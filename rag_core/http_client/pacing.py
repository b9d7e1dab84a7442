"""Rate limits per host, and retries that honour Retry-After."""

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
    """An attempt that may succeed later, in `after` seconds if the host said so; `error` is what it means if not."""

    def __init__(self, error: RagError, after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


@dataclass(slots=True)
class Pacing:
    """Thread-safe. `per_second` starts of requests at most, `attempts` tries, waits of at most `longest` seconds."""

    per_second: float = 5
    attempts: int = 4
    longest: float = 60
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _next: float = 0.0

    def run(self, attempt: Callable[[], T]) -> T:
        """The result of the first attempt that raises no `Again`. Raises `Again.error` of the last one.

        A wait that the host asks for is honoured up to `longest`; beyond it the error comes at once, because a run that
        sleeps for an hour cannot be told from one that hangs.
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
        """Wait for the next start that the rate allows."""
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
    """Raise `Again` for a state that may pass. `headers` is a mapping with lower-case names."""
    if status not in RETRIED_STATES:
        return
    get = getattr(headers, "get", lambda _: None)
    reason = Reason.RATE_LIMITED if status == 429 else Reason.HTTP_STATUS
    raise Again(Unavailable(reason, f"{what} answers with status {status}"), retry_after(get("retry-after")))


def retry_after(value: str | None) -> float | None:
    """Seconds from now, of either form of the header; `None` when absent or unreadable."""
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
