"""What is read of the database beside the calls."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import text
from structlog.testing import capture_logs

from query_server.auth.revocations import READ_SECONDS, PendingRevocationCache
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.gauges import Freshness, SourceGauges
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import BackgroundTasks, Poller, RevocationListener
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.access import end_session
from rag_core.retrieval.index import NO_PENDING_REVOCATIONS, PendingRevocations
from tests.support.query_server import no_store


async def test_the_last_finding_holds_while_the_database_is_away_and_the_log_says_so_once_per_outage() -> None:
    answers: list[int | None] = [1, None, None, 2, None]
    taken: list[int] = []

    def read() -> int:
        answer = answers.pop(0)
        if answer is None:
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, "away")
        return answer

    poller = Poller("revocations", read, taken.append, seconds=0)
    with capture_logs() as log:
        for _ in range(5):
            await poller.refresh()

    assert taken == [1, 2]
    assert [(line["what"], line["reason"]) for line in log] == [("revocations", "DATABASE_UNAVAILABLE")] * 2


async def test_a_slow_read_is_repeated_less_often() -> None:
    slow = Poller("freshness", lambda: time.sleep(0.02), lambda _: None, seconds=0.1, share=0.05)

    assert await slow.refresh() >= 0.4


async def test_a_bug_in_a_read_does_not_end_the_polling() -> None:
    answers: list[int] = [1]
    taken: list[int] = []
    poller = Poller("permissions", lambda: answers.pop(0), taken.append, seconds=0)
    with capture_logs() as log:
        await poller.refresh()
        await poller.refresh()
        answers.append(2)
        await poller.refresh()

    assert taken == [1, 2]
    assert [line["log_level"] for line in log] == ["error"]


def delete_document(store: Store) -> None:
    with store.engine.begin() as connection:
        inbox.accept(connection, PushedChange("acme", "push", "a.txt", "ann"), max_pending=10)


def restrict_document(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.documents SET acl = acl[2:]"))


def sign_out(store: Store) -> None:
    with store.engine.begin() as connection:
        end_session(connection, tenant="acme", subject="ann", session="s1", lifetime=60, actor="ann")


@pytest.mark.parametrize("change", [delete_document, restrict_document, sign_out])
async def test_a_revocation_is_read_when_it_is_committed_and_not_at_the_next_interval(
    store: Store, change: Callable[[Store], None]
) -> None:
    _store_document(store)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        readings, tried = asyncio.Queue[float](), LazyStore(lambda: store)
        poller = Poller("permissions", time.monotonic, readings.put_nowait, seconds=3600, announced_seconds=7200)
        listener = RevocationListener(tried, 5, poller)
        running = [tasks.create_task(poller.run()), tasks.create_task(listener.run())]
        for _ in range(2):
            while poller.interval != 7200:  # it hears what is announced
                await readings.get()
            began = time.monotonic()
            await asyncio.to_thread(change, store)
            while await readings.get() < began:
                pass
            await asyncio.to_thread(_end_listeners, store)
            while poller.interval != 3600:  # no session: it may miss something
                await readings.get()
        for task in running:
            task.cancel()


async def test_what_is_pending_is_read_often_because_nothing_announces_its_end(store: Store) -> None:
    _store_document(store)
    cache = PendingRevocationCache(LazyStore(lambda: store), Metrics(), max_age=8)
    cache.poller.announced = True
    short, announced = READ_SECONDS, 2
    await cache.poller.refresh()
    assert cache.poller.interval == announced, "readings must not be too old"
    restrict_document(store)
    await cache.poller.refresh()
    assert cache.poller.interval == short


def _end_listeners(store: Store) -> None:
    with store.engine.connect() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rag-query-listener'"
        connection.execute(text(f"{query} AND datname = current_database()"))


def _store_document(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'push', 'push')"))
        connection.execute(
            text(
                "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version,"
                " token, parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id)"
                " VALUES (:id, 'acme', 'push', 'b', 1, 1, 1, '', '', '', '', 4, 'text/plain', 'Text.', '{a,b}', 'r')"
            ),
            {"id": uuid.uuid4()},
        )


async def test_a_deletion_that_was_applied_counts_until_the_revocations_were_read_after_it(store: Store) -> None:
    cache = PendingRevocationCache(LazyStore(lambda: store), Metrics(), max_age=0)
    await cache.poller.refresh()
    with pytest.raises(Unavailable, match="REVOCATIONS_UNKNOWN"):
        cache.of_caller("acme", ("everyone",))
    with store.engine.begin() as connection:
        receipt = inbox.accept(connection, PushedChange("acme", "push", "a.txt", "ann"), max_pending=10)
    hidden = PendingRevocations((receipt.doc_id,), ())
    for reading, wanted in ((cache.deletions, hidden), (cache.poller, hidden)):
        await reading.refresh()
        assert cache.of_caller("acme", ("everyone",)) == wanted
    assert not cache.of_caller("other", ("everyone",))
    with store.engine.begin() as connection:
        inbox.mark_applied(connection, {receipt.sequence: "deleted"})
    for reading, wanted in ((cache.deletions, hidden), (cache.poller, NO_PENDING_REVOCATIONS)):
        await reading.refresh()
        assert cache.of_caller("acme", ("everyone",)) == wanted


class Panic(BaseException):
    """As the engine raises them: no `Exception`."""


def fail() -> None:
    raise ValueError("a bug")


def panic() -> None:
    raise Panic


def cancelled_by_somebody_else() -> None:
    raise asyncio.CancelledError


def return_early() -> None:
    return


@pytest.fixture
def failures() -> Counter:
    return Counter("failures", "failures", ["task"], registry=CollectorRegistry())


@pytest.mark.parametrize("end", [fail, panic, cancelled_by_somebody_else, return_early])
async def test_a_task_that_ends_is_counted_and_started_again(failures: Counter, end: Callable[[], None]) -> None:
    tasks, again = BackgroundTasks(failures, pause=0), asyncio.Event()
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            end()
            return
        again.set()
        await asyncio.Event().wait()

    tasks.start("poller", run)
    async with asyncio.timeout(10):
        await again.wait()
    assert failures.labels("poller")._value.get() == 2
    await tasks.stop()


async def test_stopping_ends_every_task_although_one_fails_while_it_is_cancelled(failures: Counter) -> None:
    tasks, ended, started = BackgroundTasks(failures), asyncio.Event(), asyncio.Barrier(3)

    async def fails_at_the_end() -> None:
        try:
            await started.wait()
            await asyncio.Event().wait()
        finally:
            raise ValueError("a bug in the cleanup")

    async def ends() -> None:
        try:
            await started.wait()
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks.start("bad", fails_at_the_end)
    tasks.start("good", ends)
    await started.wait()
    async with asyncio.timeout(10):
        await tasks.stop()
    assert ended.is_set()


class Hang:
    """A call that returns when the test says so."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self) -> str:
        self.entered.release()
        assert self.release.wait(20)
        return "done"


def make_pool(threads: int) -> BlockingPool:
    return BlockingPool(threads, name="test", stuck=Gauge("stuck", "stuck", registry=CollectorRegistry()))


async def enter(pool: BlockingPool, hang: Hang) -> asyncio.Task[str]:
    task = asyncio.create_task(pool.run(hang))
    assert await asyncio.to_thread(hang.entered.acquire, timeout=10)
    return task


async def test_results_and_errors_come_through() -> None:
    pool = make_pool(1)
    assert await pool.run(sorted, [2, 1], reverse=True) == [2, 1]
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    pool.close()


@pytest.mark.catalogue("F35")
async def test_when_every_thread_is_stuck_calls_fail_at_once_until_one_returns() -> None:
    pool, hang = make_pool(2), Hang()
    for _ in range(2):
        task = await enter(pool, hang)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert pool.open
    with pytest.raises(Unavailable) as caught:
        await pool.run(str)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE
    hang.release.set()
    async with asyncio.timeout(10):
        while pool.stuck:  # noqa: ASYNC110  the pool has no event for it
            await asyncio.sleep(0)
    assert await pool.run(str) == ""
    pool.close()


@pytest.mark.catalogue("F34")
async def test_a_call_that_had_not_begun_is_never_succeeded() -> None:
    pool, hang = make_pool(1), Hang()
    first = await enter(pool, hang)
    ran: list[int] = []
    waiting = asyncio.create_task(pool.run(ran.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pool.stuck
    hang.release.set()
    assert await first == "done"
    await pool.run(str)
    assert ran == []
    pool.close()


async def test_without_its_database_a_server_claims_no_freshness() -> None:
    freshness = Freshness(LazyStore(no_store), Metrics(), seconds=1)
    await freshness.poller.refresh()
    assert freshness.as_of("acme") is None


async def test_gauges_of_sources_follow_what_changed_and_are_not_made_again_while_nothing_does(store: Store) -> None:
    metrics = Metrics()
    gauges = SourceGauges(LazyStore(lambda: store), metrics)

    def execute(statement: str) -> None:
        with store.engine.begin() as connection:
            connection.execute(text(statement))

    def shown() -> dict[str, float]:
        [held] = metrics.source_held.collect()
        return {sample.labels["source"]: sample.value for sample in held.samples}

    execute("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'handbook', 'folder')")
    await gauges.poller.refresh()
    series = metrics.source_held.labels("handbook")
    await gauges.poller.refresh()
    assert shown() == {"handbook": 0}
    assert metrics.source_held.labels("handbook") is series
    execute("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'wiki', 'folder')")
    await gauges.poller.refresh()
    assert shown() == {"handbook": 0, "wiki": 0}
    execute("DELETE FROM rag.sources WHERE name = 'handbook'")
    await gauges.poller.refresh()
    assert shown() == {"wiki": 0}
