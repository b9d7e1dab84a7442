"""Blocking calls beside the event loop: a bounded thread pool that survives calls which never return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from prometheus_client import Gauge

from rag_core.errors import Reason, Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class BlockingPool:
    """Runs functions in `threads` threads and gives up waiting when the caller is cancelled.

    A thread cannot be stopped, so a call whose caller left keeps its thread until it returns: it is stuck. When every
    thread is stuck no call could start before its deadline, so the breaker is open: calls fail at once with
    `INDEX_UNAVAILABLE` instead of queueing. The return of any stuck call closes it.
    """

    def __init__(self, threads: int, *, name: str, stuck: Gauge) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._stuck = 0
        self._gauge = stuck

    @property
    def open(self) -> bool:
        """Whether the breaker is open."""
        return self._stuck >= self._threads

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. Raises `Unavailable` while the breaker is open; cancellation returns at once."""
        if self.open:
            raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index does not respond; retry later")
        future = self._executor.submit(function, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.cancel():
                self._watch(future)
            raise

    def _watch(self, future: Future[T]) -> None:
        self._stuck += 1
        self._gauge.inc()
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._released))

    def _released(self) -> None:
        self._stuck -= 1
        self._gauge.dec()

    @property
    def stuck(self) -> int:
        """Calls that outlived their callers and still run."""
        return self._stuck

    def close(self) -> None:
        """Refuse new calls and let the running ones go; a stuck call must not hold up the exit of the process."""
        self._executor.shutdown(wait=not self._stuck, cancel_futures=True)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
