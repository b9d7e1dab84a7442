from __future__ import annotations

import threading

import pytest
from psycopg import errors
from sqlalchemy import exc, text

from rag_core.database import Store, locks, open_store
from rag_core.database.driver_errors import translate, translated
from rag_core.errors import Conflict, DeadlineExceeded, Exhausted, InvalidInput, Reason, Unavailable
from rag_core.settings import Settings


def test_a_shard_is_held_by_one_run_and_its_neighbours_are_free(store: Store) -> None:
    with locks.shard_connection(store, "acme", "a", 0, wait=1):
        with (
            locks.shard_connection(store, "acme", "a", 1, wait=1),
            locks.shard_connection(store, "acme", "b", 0, wait=1),
        ):
            pass
        with pytest.raises(Conflict) as busy, locks.shard_connection(store, "acme", "a", 0, wait=0):
            pass
        assert busy.value.reason is Reason.SOURCE_BUSY
        with pytest.raises(Conflict), locks.source_connection(store, "acme", "a", wait=0):
            pass
        with pytest.raises(Conflict), locks.exclusive_connection(store, wait=0):
            pass
    with locks.exclusive_connection(store, wait=0):
        pass


def test_both_ends_notice_within_a_minute_that_the_machine_of_the_other_lost_power(store: Store) -> None:
    names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
    with locks.shard_connection(store, "acme", "a", 0, wait=1) as connection:
        server = [connection.scalar(text(f"SHOW tcp_{name}")) for name in names]
        used = connection.connection.driver_connection
        assert used is not None
        client = used.info.get_parameters()
    assert server == ["30", "10", "3", "60000"]
    assert [client[name] for name in (*names[:3], "tcp_user_timeout")] == ["30", "10", "3", "60000"]


def test_a_second_run_waits_for_the_first(store: Store) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with locks.shard_connection(store, "acme", "a", 0, wait=30):
            order.append("second")

    with locks.shard_connection(store, "acme", "a", 0, wait=1):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lost_connection_is_unavailable_and_frees_its_locks(store: Store) -> None:
    with locks.shard_connection(store, "acme", "a", 0, wait=1) as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with store.engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
        with pytest.raises(Unavailable) as lost:
            connection.execute(text("SELECT 1"))
    assert lost.value.reason is Reason.DATABASE_UNAVAILABLE
    with locks.shard_connection(store, "acme", "a", 0, wait=1):
        pass


def test_a_pooled_connection_is_used_without_asking_the_server_and_replaced_once_that_has_closed_it(
    store: Store, settings: Settings
) -> None:
    server = text("SELECT query_start FROM pg_stat_activity WHERE pid = :pid")
    pooled = open_store(settings)
    with pooled.engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    with store.engine.connect() as observer:
        last = observer.scalar(server, {"pid": pid})
        with pooled.engine.connect():
            pass
        observer.rollback()  # statistics are those of the transaction's beginning
        assert observer.scalar(server, {"pid": pid}) == last
        observer.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
    with pooled.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != pid
    pooled.close()


def test_a_statement_that_takes_too_long_ends_with_a_deadline(settings: Settings) -> None:
    store = open_store(settings.model_copy(update={"database_statement_timeout_seconds": 0.05}))
    with pytest.raises(DeadlineExceeded), store.engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    store.close()


@pytest.mark.catalogue("F28")
def test_a_full_disk_is_named_and_other_errors_of_ours_stay_bugs() -> None:
    full = translate(exc.OperationalError("INSERT", {}, errors.DiskFull("no space left on device: /var/x")))
    assert isinstance(full, Exhausted)
    assert full.reason is Reason.STORAGE_FULL
    assert "/var/x" not in str(full)
    assert translate(exc.ProgrammingError("SELEC", {}, errors.SyntaxError("SELEC"))) is None
    with pytest.raises(Exhausted), translated():
        raise errors.DiskFull


@pytest.mark.parametrize(
    "query", ["SELECT CAST(:text AS text)", "SELECT jsonb_build_object('text', :text)", "SELECT CAST(:json AS jsonb)"]
)
def test_a_character_that_cannot_be_stored_is_bad_input_and_no_bug(settings: Settings, query: str) -> None:
    store = open_store(settings)
    with pytest.raises(InvalidInput, match="NUL") as refused, store.engine.begin() as connection:
        connection.execute(text(query), {"text": "a\0b", "json": '"a\\u0000b"'}).all()
    assert refused.value.reason is Reason.TEXT_INVALID
    store.close()
