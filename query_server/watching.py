"""What the server reads of the database now and then, beside the calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from rag_core.errors import RagError
from rag_core.logging import get_logger

Finding = TypeVar("Finding")
_log = get_logger("query_server.watching")


class Watch(Generic[Finding]):
    """Keeps what `read` found last. While the database cannot be reached that stays, and the log says so once."""

    def __init__(
        self,
        what: str,
        read: Callable[[], Finding],
        take: Callable[[Finding], None],
        *,
        seconds: float,
        share: float = 1.0,
    ) -> None:
        """`read` runs on a thread, `take` on the event loop. Reading takes up at most this `share` of the time."""
        self._what = what
        self._read = read
        self._take = take
        self._seconds = seconds
        self._share = share
        self._reachable = True

    async def refresh(self) -> float:
        """Read once; returns the seconds until the next time."""
        started = time.monotonic()
        try:
            self._take(await asyncio.to_thread(self._read))
            self._reachable = True
        except RagError as error:
            if self._reachable:
                _log.warning("not read; what was found last holds", what=self._what, reason=str(error.reason))
            self._reachable = False
        except Exception:  # a bug must not end the watch: what was found last would stand for good
            _log.exception("not read", what=self._what)
        return max(self._seconds, (time.monotonic() - started) / self._share)

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:  # noqa: ASYNC110  there is no event to wait for: time passes
            await asyncio.sleep(await self.refresh())
