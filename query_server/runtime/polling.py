"""Background work: pollers of the database, and supervised tasks that are restarted when they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from prometheus_client import Counter

from query_server.runtime.blocking import BlockingPool
from rag_core.errors import RagError, Reason
from rag_core.governance import access
from rag_core.logging import get_logger

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from query_server.runtime.dependencies import LazyStore

# --------------------------------------------------------------------------------------------------------------------
# Pollers: values that the server reads from the database at intervals.


ANNOUNCED_SECONDS = 5.0
"""Longest time between two readings of what the database announces, as long as announcements arrive here."""
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
        announced_seconds: float | None = None,
        is_settled: Callable[[], bool] = lambda: True,
    ) -> None:
        """`read` runs on the thread, `take` on the event loop. Reading takes up at most this `share` of the time.

        `announced_seconds` is the interval while every change is announced; what `is_settled` denies may end without an
        announcement, and is read at the short interval.
        """
        self._what = what
        self._read = read
        self._take = take
        self._seconds = seconds
        self._share = share
        self._announced_seconds = max(seconds, announced_seconds or 0.0)
        self._is_settled = is_settled
        self.announced = False
        """Set while a listener hears what the database announces."""
        self._reachable = True
        self._woken = asyncio.Event()
        self.thread = database_thread(f"poll-{what.replace(' ', '-')}")

    async def refresh(self) -> float:
        """Read once; returns the least time until the next one, in seconds."""
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
        return (time.monotonic() - started) / self._share

    @property
    def interval(self) -> float:
        """Seconds between two readings that nothing announces."""
        return self._announced_seconds if self.announced and self._is_settled() else self._seconds

    def wake(self) -> None:
        """Read as soon as the share of time allows it, instead of at the next interval."""
        self._woken.set()

    async def run(self) -> None:
        """Read again and again until cancelled."""
        while True:
            self._woken.clear()  # before the reading: what is announced during it is read afterwards
            least = await self.refresh()
            await asyncio.sleep(least)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.interval - least):
                    await self._woken.wait()


LISTEN_AGAIN_SECONDS = 1.0


class RevocationListener:
    """Wakes pollers when the database announces a revocation, so that it counts within milliseconds of its commit.

    It promises nothing: while it has no session, or a connection pooler keeps announcements from it, the pollers read
    at their short intervals. So it announces something itself at first, by another connection.
    """

    def __init__(self, store: LazyStore, connect_seconds: float, *pollers: Poller[Any]) -> None:
        self._store = store
        self._connect_seconds = connect_seconds
        self._pollers = pollers

    async def run(self) -> None:
        """Listen until cancelled; a session that ends is opened again."""
        # Imported here: drivers take as long to load as the rest of the server.
        import psycopg

        while True:
            with suppress(psycopg.Error, RagError):
                store = await self._store.threads.run_within(READ_SECONDS, self._store.get)
                arguments = store.session("rag-query-listener", self._connect_seconds)
                async with await psycopg.AsyncConnection.connect(**arguments) as session:
                    await self._listen(session)
            self._wake(announced=False)
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _listen(self, session: AsyncConnection[Any]) -> None:
        await access.listen(session)
        self._wake(announced=False)  # what was announced before nobody heard
        await self._store.threads.run_within(READ_SECONDS, self._announce)
        while True:
            async for _ in session.notifies(timeout=0):
                self._wake(announced=True)
            await _readable(session.fileno())  # `notifies` wakes ten times a second while it waits

    def _announce(self) -> None:
        with self._store.get().engine.begin() as connection:
            access.announce(connection)

    def _wake(self, *, announced: bool) -> None:
        for poller in self._pollers:
            poller.announced = announced
            poller.wake()


async def _readable(descriptor: int) -> None:
    """Return once there is something to read, or the other side closed."""
    loop, said = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, said.set)
    try:
        await said.wait()
    finally:
        loop.remove_reader(descriptor)


# --------------------------------------------------------------------------------------------------------------------
# The background tasks of a server, supervised: none of them ends unnoticed.


RESTART_SECONDS = 1.0
_background_log = get_logger("query_server.background")


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
                _background_log.error("background_task_ended", task=name)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # a panic of the engine and a stray cancellation are no `Exception`
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise  # by `stop`, whatever it made of that
                _background_log.exception("background_task_failed", task=name)
            self._failures.labels(name).inc()
            await asyncio.sleep(self._pause)
