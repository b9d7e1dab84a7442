"""Not to wait again, call after call, for a part that has just let somebody wait in vain."""

from __future__ import annotations

import threading
import time

from console.clients.errors import ServiceError

SPARED_SECONDS = 3.0


class Patience:
    """Remembers which part did not answer in time. Thread-safe."""

    def __init__(self) -> None:
        self._silent: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def require(self, service: str) -> None:
        """Raises `ServiceError` for a part that let a caller wait less than `SPARED_SECONDS` ago."""
        with self._lock:
            until, code = self._silent.get(service, (0.0, ""))
        if time.monotonic() < until:
            raise ServiceError(service, code)

    def waited(self, service: str, code: str) -> None:
        """A caller got no answer in time."""
        with self._lock:
            self._silent[service] = (time.monotonic() + SPARED_SECONDS, code)
