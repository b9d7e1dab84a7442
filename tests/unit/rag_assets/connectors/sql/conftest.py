# ruff: noqa: S608
from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from psycopg import connect
from psycopg.conninfo import conninfo_to_dict
from pydantic import TypeAdapter
from sqlalchemy import make_url

from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.sql.connector import SqlConnector
from rag_assets.connectors.sql.options import SqlOptions
from rag_core.content.sources import SourceItem

COLUMNS = {"key": "id", "updated_at": "updated_at", "content": "body"}
MYSQL = "RAG_TEST_MYSQL_URL"
Open = Callable[..., SqlConnector]


class Database:
    """A database that tests change with plain statements: SQLite, the embedded PostgreSQL, or a MySQL that is there."""

    def __init__(self, driver: str, options: dict[str, Any], execute: Callable[..., list[Any]]) -> None:
        self.driver, self.options, self.execute = driver, options, execute

    def articles(self, count: int = 3) -> None:
        """A table of `count` articles, all written at the same second yesterday."""
        kind = {"postgresql": "timestamptz", "mysql": "datetime"}.get(self.driver, "text")
        text = "mediumtext" if self.driver == "mysql" else "text"
        self.execute(
            f"CREATE TABLE articles (id integer PRIMARY KEY, body {text}, title {text}, author text, readers text,"
            f" updated_at {kind}, removed integer DEFAULT 0)"
        )
        for number in range(1, count + 1):
            self.put(number)

    def put(self, number: int, body: str | None = None, at: str = "2026-11-23 10:00:00", **more: Any) -> None:
        """Insert or replace an article."""
        row = {"id": number, "body": body or f"Body of article {number}.", "updated_at": at, **more}
        row.setdefault("title", f"Title {number}")
        names = ", ".join(row)
        marks = ", ".join("?" if self.driver == "sqlite" else "%s" for _ in row)
        self.execute(f"DELETE FROM articles WHERE id = {number}")
        self.execute(f"INSERT INTO articles ({names}) VALUES ({marks})", list(row.values()))


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "app data.db"
    connection = sqlite3.connect(path, isolation_level=None)

    def execute(statement: str, values: list[Any] | None = None) -> list[Any]:
        return connection.execute(statement, values or []).fetchall()

    yield Database("sqlite", {"driver": "sqlite", "path": str(path)}, execute)
    connection.close()


@pytest.fixture
def postgres_database(empty_database_url: str) -> Iterator[Database]:
    given = conninfo_to_dict(empty_database_url)
    options = {
        "driver": "postgresql",
        "host": given["host"],
        "port": int(str(given["port"])),
        "name": given["dbname"],
        "user": given["user"],
    }
    with connect(empty_database_url, autocommit=True) as connection:

        def execute(statement: str, values: list[Any] | None = None) -> list[Any]:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

        yield Database("postgresql", options, execute)


@pytest.fixture
def mysql_database() -> Iterator[Database]:
    """A database of its own on the server that RAG_TEST_MYSQL_URL names (mysql://root@127.0.0.1:3306), dropped after
    the test. Its statements are those of the standard, so that tests need not know."""
    url = make_url(os.environ[MYSQL])
    name = f"rag_test_{uuid.uuid4().hex[:12]}"
    reach: dict[str, Any] = {"host": url.host or "127.0.0.1", "port": url.port or 3306, "user": url.username or "root"}
    with pymysql.connect(
        **reach, password=url.password or "", autocommit=True, sql_mode="ANSI_QUOTES,PIPES_AS_CONCAT"
    ) as connection:

        def execute(statement: str, values: list[Any] | None = None) -> list[Any]:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())

        execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        execute(f"USE {name}")
        yield Database("mysql", {"driver": "mysql", "name": name, **reach}, execute)
        execute(f"DROP DATABASE {name}")


needs_mysql = pytest.mark.skipif(MYSQL not in os.environ, reason=f"{MYSQL} names no server")


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mysql", marks=needs_mysql)])
def database(request: pytest.FixtureRequest) -> Database:
    """Each test runs over all."""
    name = {"postgresql": "postgres_database"}.get(request.param, f"{request.param}_database")
    found: Database = request.getfixturevalue(name)
    return found


@pytest.fixture
def connect_to() -> Iterator[Open]:
    """Make a connector on a database; it is closed after the test."""
    opened: list[SqlConnector] = []

    def make(database: Database, *, max_cell_bytes: int = 1_000_000, **changes: Any) -> SqlConnector:
        given = {"kind": "sql", "database": database.options, "table": "articles", **COLUMNS, **changes}
        options = TypeAdapter(SqlOptions).validate_python({k: v for k, v in given.items() if v is not None})
        opened.append(SqlConnector(options, ConnectorContext(max_cell_bytes)))
        return opened[-1]

    yield make
    for connector in opened:
        connector.close()


def items(listing: Any) -> dict[str, SourceItem]:
    return {entry.locator: entry for entry in listing if isinstance(entry, SourceItem)}
