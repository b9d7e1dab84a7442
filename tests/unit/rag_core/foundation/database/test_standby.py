"""PostgreSQL with a standby: only the primary is used, and the one that takes its place is found."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from benchmarks.ports import free_port
from rag_core.database import Store, open_store, upgrade
from rag_core.database.embedded.account import server_account
from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.settings import Settings
from tests.support.postgres import die_with_parent, reachable_folder
from tests.support.standby import Pair, replicated
from tests.support.waiting import eventually

WRITE = text("INSERT INTO rag.tenants (name, created_by, changed_by) VALUES (:name, 'test', 'test')")
POOLER = """[databases]
{database} = host=127.0.0.1 port={port} user=rag
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
auth_type = any
pool_mode = {mode}
unix_socket_dir =
"""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with replicated() as servers:
        upgrade(servers.primary.owner_url("rag"), services="rag")
        yield servers


@pytest.fixture
def opened(pair: Pair, tmp_path: Path) -> Iterator[Store]:
    """A store whose URL names the standby before the primary."""
    store = open_store(Settings.load(home=tmp_path, database_url=pair.url("rag")))
    yield store
    store.close()


def write(store: Store, name: str) -> bool:
    """False while the database takes no writes."""
    try:
        with store.engine.begin() as connection:
            connection.execute(WRITE, {"name": name})
    except Unavailable as error:
        return error.reason is not Reason.DATABASE_UNAVAILABLE
    return True


def names(store: Store) -> set[str]:
    with store.engine.connect() as connection:
        return set(connection.scalars(text("SELECT name FROM rag.tenants")))


def test_a_server_that_was_made_read_only_is_left_for_a_new_connection(pair: Pair, opened: Store) -> None:
    assert write(opened, "before")
    pair.tell(pair.primary, "ALTER SYSTEM SET default_transaction_read_only = on")
    pair.tell(pair.primary, "SELECT pg_reload_conf()")
    assert eventually(lambda: not write(opened, "not written"))
    pair.tell(pair.primary, "ALTER SYSTEM RESET default_transaction_read_only")
    pair.tell(pair.primary, "SELECT pg_reload_conf()")
    assert eventually(lambda: write(opened, "written"))


def test_what_was_acknowledged_is_on_the_standby_that_takes_over(pair: Pair, opened: Store) -> None:
    listening = opened.session("listener", 10)
    with psycopg.connect(**listening) as session:
        assert session.info.port == pair.primary.port
    acknowledged = {f"t{number}" for number in range(20) if write(opened, f"t{number}")}
    assert len(acknowledged) == 20
    pair.kill_primary()
    assert not write(opened, "meanwhile"), "the standby is read only"
    pair.promote()
    assert eventually(lambda: write(opened, "after"))
    assert acknowledged | {"after"} <= names(opened)
    with psycopg.connect(**listening) as session:
        assert session.info.port == pair.standby.port


@contextmanager
def pooled(url: str, mode: str) -> Iterator[str]:
    """The URL of a database behind pgbouncer."""
    parsed, account, own, folder = make_url(url), server_account(), free_port(), reachable_folder()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(POOLER.format(database=parsed.database, port=parsed.port, own=own, mode=mode))
    through = parsed.set(port=own).render_as_string()
    pooler = subprocess.Popen(
        ["pgbouncer", "--quiet", str(configuration)], user=account.uid, group=account.gid, preexec_fn=die_with_parent
    )
    try:
        assert eventually(lambda: answers(through))
        yield through
    finally:
        pooler.terminate()
        pooler.wait()
        shutil.rmtree(folder)


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.skipif(not shutil.which("pgbouncer"), reason="needs pgbouncer (Debian: pgbouncer)")
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_gives_each_connection_a_session_or_is_refused(database_url: str, tmp_path: Path, mode: str) -> None:
    with pooled(database_url, mode) as url:
        settings = Settings.load(home=tmp_path, database_url=url)
        if mode == "session":
            open_store(settings).close()
            return
        for opening in (lambda: open_store(settings), lambda: upgrade(settings)):
            with pytest.raises(ConfigError, match="transaction mode") as caught:
                opening()
            assert caught.value.reason is Reason.CONFIG_INVALID
