"""A query server of the previous release works on the schema of this one: a rollout and a rollback need it.

`tests/data/statements_<revision>.json` holds every statement that the previous release's query server sent in its own
tests, and `schema_<revision>.sql` its schema; CONTRIBUTING.md says how they are recorded when a release is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rag_core.database import upgrade
from rag_core.database.tables.base import SCHEMA

[RECORDED] = (Path(__file__).parents[4] / "data").glob("statements_*.json")
SCHEMA_SQL = RECORDED.with_name(RECORDED.stem.replace("statements", "schema") + ".sql").read_text("utf-8")
STATEMENTS: list[str] = [
    statement
    for statement in json.loads(RECORDED.read_text())
    if statement.split()[0] in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}
]
_PARAMETER = re.compile(r"%\((\w+)\)s")


def numbered(statement: str) -> tuple[str, int]:
    """The statement with `$1`, `$2`, …, and how many there are."""
    names = list(dict.fromkeys(_PARAMETER.findall(statement)))
    return _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement).replace("%%", "%"), len(names)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as opened:
        yield opened


def test_the_recording_holds_reads_and_writes() -> None:
    starts = {statement.split()[0] for statement in STATEMENTS}
    assert starts >= {"SELECT", "INSERT", "UPDATE", "WITH"}
    assert len(STATEMENTS) > 80


def test_every_statement_of_the_previous_release_is_one_of_this_schema(connection: psycopg.Connection) -> None:
    broken = []
    for statement in STATEMENTS:
        sent, _ = numbered(statement)
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(f"PREPARE old AS {sent}".encode())
                connection.execute("DEALLOCATE old")
        except psycopg.Error as error:
            broken.append(f"{error}: {statement}")
    assert broken == []


def test_every_read_of_the_previous_release_runs(connection: psycopg.Connection) -> None:
    reads = [statement for statement in STATEMENTS if statement.startswith(("SELECT", "WITH"))]
    for statement in reads:
        sent, parameters = numbered(statement)
        nothing = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        with connection.transaction(force_rollback=True):
            connection.execute(f"PREPARE old AS {sent}".encode())
            connection.execute(f"EXECUTE old{nothing}".encode())
            connection.execute("DEALLOCATE old")


def columns(url: str) -> dict[tuple[str, str], tuple[str, bool]]:
    """Type of each column, and whether a row cannot be written without it."""
    query = """SELECT table_name, column_name, udt_name, is_nullable = 'NO' AND column_default IS NULL
               AND is_identity = 'NO' AND is_generated = 'NEVER'
               FROM information_schema.columns WHERE table_schema = %s"""
    with psycopg.connect(url) as connection:
        found = connection.execute(query, [SCHEMA]).fetchall()
    return {(table, column): (kind, required) for table, column, kind, required in found}


def test_migrations_since_the_previous_release_only_add(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(SCHEMA_SQL.encode())
    before = columns(empty_database_url)
    upgrade(empty_database_url)
    after = columns(empty_database_url)
    for name, (kind, _) in before.items():
        assert name in after, "an old server reads it"
        assert after[name][0] == kind, f"{name} has another type"
    tables = {table for table, _ in before}
    required = {name for name, (_, required) in after.items() if required and name[0] in tables}
    was_required = {name for name, (_, required) in before.items() if required}
    assert required <= was_required, "an old server does not write them"
