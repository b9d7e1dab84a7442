"""A real PostgreSQL for tests: one server per test process, a fresh migrated database per test.

A database costs about 20 ms because it is copied from a template that was migrated once. The server is tied to the life
of the test process, so an interrupted run leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rag_core.settings import Settings
from rag_core.store import Store, open_store
from rag_core.store.embedded import EmbeddedPostgres
from rag_core.store.migrate import upgrade

_TEMPLATE = "rag_template"
_numbers = itertools.count()


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A running server that is not durable, with a migrated template database."""
    folder = reachable_folder()
    server = EmbeddedPostgres(folder / "postgres", free_port(), durable=False)
    try:
        server.start(log=folder / "postgres.log", preexec=die_with_parent)
        with psycopg.connect(server.owner_url(), autocommit=True) as owner:
            owner.execute(sql.SQL("CREATE DATABASE {} IS_TEMPLATE true").format(sql.Identifier(_TEMPLATE)))
        # As in a real stack: the services, and so the tests, are another role than the owner of the tables.
        upgrade(server.owner_url(_TEMPLATE), services="rag")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of a new database without our schema."""
    yield from _database(postgres_server, "template1")


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL (`postgresql://…`) of a new migrated database, dropped after the test."""
    yield from _database(postgres_server, _TEMPLATE)


@contextmanager
def temporary_database(server: EmbeddedPostgres) -> Iterator[str]:
    """URL of a new migrated database for as long as a fixture of any scope wants it."""
    yield from _database(server, _TEMPLATE)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with a home of their own, that database and the fake embedder."""
    return Settings.load(home=tmp_path / "home", database_url=database_url, embedder="fake")


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
