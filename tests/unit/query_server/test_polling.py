"""What is read of the database beside the calls."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from query_server.auth.revocations import READ_SECONDS, PendingRevocationCache
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import Poller, RevocationListener
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.access import end_session
from rag_core.retrieval.index import NO_PENDING_REVOCATIONS, PendingRevocations


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
