"""The background tasks of a server, supervised: none of them ends unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import Counter

from rag_core.logging import get_logger

RESTART_SECONDS = 1.0
_log = get_logger("query_server.background")


class BackgroundTasks:
    """Runs each task until `stop`. One that ends before, in whatever way, is logged, counted and started again."""

    def __init__(self, failures: Counter, *, pause: float = RESTART_SECONDS) -> None:
        """`failures` has the label `task`; `pause` is the time before a restart, in seconds."""
        self._failures = failures
        self._pause = pause
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run` from now on."""
        self._failures.labels(name)  # a series from the start, so that an alert sees its first increase
        self._tasks.append(asyncio.create_task(self._supervise(name, run), name=name))

    async def stop(self) -> None:
        """End all of them and wait for it. Raises nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await run()
                _log.error("background task ended", task=name)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # a panic of the engine and a stray cancellation are no `Exception`
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise  # by `stop`, whatever it made of that
                _log.exception("background task failed", task=name)
            self._failures.labels(name).inc()
            await asyncio.sleep(self._pause)
