"""A real PostgreSQL for tests: one server per test process, a fresh migrated database per test.

A database costs about 20 ms because it is copied from a template that was migrated once. The server is tied to the life
of the test process, so an interrupted run leaves nothing behind.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from benchmarks.ports import free_port
from rag_core.database import Store, open_store, upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.settings import Settings

_TEMPLATE = "rag_template"
_numbers = itertools.count()


def die_with_parent() -> None:
    """For `preexec`: ask the kernel to end this child when the test process ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def fast_folder() -> Path:
    """A new folder in memory where the system has such a place: no test waits for a disk it does not test."""
    memory = Path("/dev/shm")  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="rag-test-", dir=memory if os.access(memory, os.W_OK) else None))


def reachable_folder() -> Path:
    """A new fast folder that the user `nobody` may enter too (pytest's own are closed to it)."""
    folder = fast_folder()
    folder.chmod(0o755)
    return folder


@functools.cache
def shared_postgres() -> EmbeddedPostgres:
    """The server of this test process, started at the first use: not durable, with a migrated template database."""
    folder = reachable_folder()
    server = EmbeddedPostgres(folder / "postgres", free_port(), durable=False)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    server.start(log=folder / "postgres.log", preexec=die_with_parent)
    with psycopg.connect(server.owner_url(), autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {} IS_TEMPLATE true").format(sql.Identifier(_TEMPLATE)))
    # As in a real stack: the services, and so the tests, are another role than the owner of the tables.
    upgrade(server.owner_url(_TEMPLATE), services="rag")
    return server


def as_owner(url: str) -> str:
    """The URL of a test's database for the role that owns the schema, as a migration has it."""
    return shared_postgres().owner_url(url.rpartition("/")[2])


@pytest.fixture(scope="session")
def postgres_server() -> EmbeddedPostgres:
    """A running server that is not durable, with a migrated template database."""
    return shared_postgres()


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of a new database without our schema."""
    yield from _database(postgres_server, "template1")


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL (`postgresql://…`) of a new migrated database, dropped after the test."""
    yield from _database(postgres_server, _TEMPLATE)


@contextmanager
def temporary_database(server: EmbeddedPostgres | None = None) -> Iterator[str]:
    """URL of a new migrated database for as long as a fixture of any scope wants it."""
    yield from _database(server or shared_postgres(), _TEMPLATE)


@functools.cache
def process_database() -> str:
    """URL of one migrated database that every program this test process starts may share; it ends with the process."""
    return next(_database(shared_postgres(), _TEMPLATE))


@contextmanager
def outage(url: str) -> Iterator[None]:
    """Meanwhile the database of that URL accepts nobody and has ended every connection."""
    name = make_url(url).database or ""
    allow, server = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}"), shared_postgres()
    _execute(server, allow.format(sql.Identifier(name), sql.SQL("false")))
    end = sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}")
    _execute(server, end.format(sql.Literal(name)))
    try:
        yield
    finally:
        _execute(server, allow.format(sql.Identifier(name), sql.SQL("true")))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with a home of their own, that database, the fake embedder and no recognition."""
    return Settings.load(home=tmp_path / "home", database_url=database_url, embedder="fake", ocr="off")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """An open store on a fresh database."""
    opened = open_store(settings)
    yield opened
    opened.close()


def _database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    _execute(server, create.format(sql.Identifier(name), sql.Identifier(template)))
    yield server.url(name)
    _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(server: EmbeddedPostgres, statement: sql.Composed) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def free_tcp_port() -> int:
    """A port on loopback on which nothing listens."""
    return free_port()
