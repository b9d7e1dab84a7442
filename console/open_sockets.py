"""The WebSockets of each session, so that signing out ends them all, whatever tab or machine they belong to."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class OpenSockets:
    """For one event loop. A session is known by the hash of its token."""

    def __init__(self) -> None:
        self._ends: defaultdict[bytes, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def one(self, token: str) -> Iterator[asyncio.Event]:
        """Count a WebSocket for as long as it is open; the event is set when its session ends."""
        digest, end = _digest(token), asyncio.Event()
        self._ends[digest].add(end)
        try:
            yield end
        finally:
            self._ends[digest].discard(end)
            if not self._ends[digest]:
                del self._ends[digest]

    def end(self, token: str) -> None:
        """End every WebSocket of the session."""
        for event in self._ends.get(_digest(token), ()):
            event.set()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
