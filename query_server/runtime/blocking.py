"""A bounded thread pool for blocking calls, which survives calls that never return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from prometheus_client import Gauge

from rag_core.errors import Reason, Unavailable
from rag_tracing import carried

P = ParamSpec("P")
T = TypeVar("T")


class BlockingPool:
    """Runs functions in `threads` threads and gives up waiting when the caller is cancelled.

    A thread cannot be stopped, so a call whose caller left keeps its thread until it returns: it is stuck. When every
    thread is stuck no call could start before its deadline, so the breaker is open: calls fail at once with `reason`
    instead of queueing. The return of any stuck call closes it.
    """

    def __init__(
        self,
        threads: int,
        *,
        name: str,
        stuck: Gauge | None = None,
        reason: Reason = Reason.INDEX_UNAVAILABLE,
        what: str = "the index",
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._abandoned: set[Future[Any]] = set()
        self._closed = False
        self._gauge = stuck
        self._reason = reason
        self._what = what

    @property
    def open(self) -> bool:
        """True while the breaker is open."""
        return self.stuck >= self._threads

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. Raises `Unavailable` while the breaker is open; cancellation returns at once."""
        if self._closed:
            raise Unavailable(Reason.SHUTTING_DOWN, "the server stops; another one answers")
        if self.open:
            raise Unavailable(self._reason, f"{self._what} does not respond; retry later")
        future = self._executor.submit(carried(function), *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.cancel():
                self._abandon(future)
            raise

    async def run_within(self, seconds: float, function: Callable[[], T]) -> T:
        """As `run`, but raises `Unavailable` after `seconds` and leaves the call to itself."""
        try:
            async with asyncio.timeout(seconds):
                return await self.run(function)
        except TimeoutError:
            raise Unavailable(self._reason, f"{self._what} did not respond within {seconds:g} seconds") from None

    def _abandon(self, future: Future[Any]) -> None:
        self._abandoned.add(future)
        if self._gauge is not None:
            self._gauge.inc()
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, lambda: self._returned(future)))

    def _returned(self, future: Future[Any]) -> None:
        self._abandoned.discard(future)
        if self._gauge is not None:
            self._gauge.dec()

    @property
    def stuck(self) -> int:
        """Calls that outlived their callers and still run."""
        return sum(not future.done() for future in tuple(self._abandoned))

    async def settle(self, seconds: float) -> None:
        """Give the calls that outlived their callers some time to return."""
        left = [asyncio.wrap_future(future) for future in self._abandoned if not future.done()]
        if left:
            done, _ = await asyncio.wait(left, timeout=seconds)
            for returned in done:
                returned.exception()  # the caller has given up

    def close(self) -> None:
        """Refuse new calls and let the running ones go; a stuck call must not hold up the exit of the process."""
        self._closed = True
        self._executor.shutdown(wait=not self.stuck, cancel_futures=True)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
