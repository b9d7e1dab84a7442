"""What the server reads from the database at intervals, beside the calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from query_server.blocking import BlockingPool
from rag_core.errors import RagError, Reason
from rag_core.logging import get_logger

READ_SECONDS = 10.0
"""Time allowed to one reading. A thread that hangs longer is left to itself; nothing is read until it returns."""
Finding = TypeVar("Finding")
_log = get_logger("query_server.polling")


def database_thread(name: str) -> BlockingPool:
    """A thread for database work of one purpose, which no other work can delay."""
    return BlockingPool(1, name=name, reason=Reason.DATABASE_UNAVAILABLE, what="the database")


class Poller(Generic[Finding]):
    """Keeps the last result of `read`, in a thread of its own. While the database is away the last result stays, and
    the log says so once."""

    def __init__(
        self,
        what: str,
        read: Callable[[], Finding],
        take: Callable[[Finding], None],
        *,
        seconds: float,
        share: float = 1.0,
    ) -> None:
        """`read` runs on the thread, `take` on the event loop. Reading takes up at most this `share` of the time."""
        self._what = what
        self._read = read
        self._take = take
        self._seconds = seconds
        self._share = share
        self._reachable = True
        self.thread = database_thread(f"poll-{what.replace(' ', '-')}")

    async def refresh(self) -> float:
        """Read once; returns the seconds until the next time."""
        started = time.monotonic()
        try:
            self._take(await self.thread.run_within(READ_SECONDS, self._read))
            self._reachable = True
        except RagError as error:
            if self._reachable:
                _log.warning("not read; the last result holds", what=self._what, reason=str(error.reason))
            self._reachable = False
        except Exception:  # a bug must not end the polling: the last result would stand for good
            _log.exception("not read", what=self._what)
        return max(self._seconds, (time.monotonic() - started) / self._share)

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:  # noqa: ASYNC110  there is no event to wait for: time passes
            await asyncio.sleep(await self.refresh())
