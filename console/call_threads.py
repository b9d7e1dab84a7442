"""Threads for the calls of pages, shared by all sessions and divided among their tenants."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
_Call = tuple[Future[Any], Callable[[], Any]]


class CallThreads:
    """Runs the calls of one tenant in at most `share` of the threads; its further calls wait for its own. Of the calls
    that may run, the one that waits longest is next."""

    def __init__(self, threads: int, share: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "console-call")
        self._share = share
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Call]] = {}

    def submit(self, tenant: str, call: Callable[[], T]) -> Future[T]:
        """Begin a call of a tenant's session, at once or when one of its calls has ended."""
        future: Future[T] = Future()
        with self._lock:
            if self._running[tenant] >= self._share:
                self._waiting.setdefault(tenant, deque()).append((future, call))
            else:
                self._running[tenant] += 1
                self._start(tenant, (future, call))
        return future

    def close(self) -> None:
        """Cancel the calls that have not begun."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for future, _ in (call for line in waiting.values() for call in line):
            future.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, tenant: str, call: _Call) -> None:
        begun = self._pool.submit(self._run, tenant, call)
        begun.add_done_callback(lambda begun: begun.cancelled() and call[0].cancel())

    def _run(self, tenant: str, call: _Call) -> None:
        future, function = call
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)
        with self._lock:
            self._end(tenant)

    def _end(self, tenant: str) -> None:
        line = self._waiting.get(tenant)
        if line:
            self._start(tenant, line.popleft())
            return
        self._waiting.pop(tenant, None)
        self._running[tenant] -= 1
        if not self._running[tenant]:
            del self._running[tenant]
