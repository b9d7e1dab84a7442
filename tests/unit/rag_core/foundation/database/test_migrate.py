"""Schema upgrades, and servers of the previous release on the schema of this one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from rag_core.database import HEAD, Store, open_store, upgrade
from rag_core.database.engine import VERSION_TABLE, alembic_config, driver_url, revision
from rag_core.database.tables.base import SCHEMA, metadata
from rag_core.errors import Conflict, Reason, Unavailable
from rag_core.settings import Settings
from tests.support.waiting import run_together

BASELINE = (Path(__file__).parents[4] / "data" / "schema_0031.sql").read_text("utf-8")
"""A database of the oldest revision that migrations know, as `pg_dump --schema-only` wrote it."""
_FUNCTIONS = r"""
SELECT p.proname AS name, regexp_replace(p.prosrc, '\s+', ' ', 'g') AS body, p.provolatile::text,
       p.prosecdef, p.proconfig,
       pg_get_function_result(p.oid) AS result, pg_get_function_arguments(p.oid) AS arguments
FROM pg_proc p WHERE p.pronamespace = 'rag'::regnamespace ORDER BY name
"""
_TRIGGERS = """
SELECT tgrelid::regclass::text AS "table", pg_get_triggerdef(oid) AS trigger
FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'rag.%' ORDER BY 1, 2
"""


@pytest.fixture
def upgraded(empty_database_url: str) -> str:
    """URL of a database that was made at the oldest revision and then upgraded."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(BASELINE.encode())
    upgrade(empty_database_url)
    return empty_database_url


def functions_and_triggers(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return [row for query in (_FUNCTIONS, _TRIGGERS) for row in connection.execute(query).fetchall()]


def test_migrations_make_the_functions_and_triggers_of_a_new_database(upgraded: str, database_url: str) -> None:
    made = functions_and_triggers(upgraded)
    assert len(made) > 40
    assert made == functions_and_triggers(database_url)


@pytest.mark.parametrize("way", ["upgraded", "database_url"])
def test_both_ways_to_a_schema_make_exactly_the_declared_tables(request: pytest.FixtureRequest, way: str) -> None:
    engine = create_engine(driver_url(request.getfixturevalue(way)))
    with engine.connect() as connection:
        connection.execute(text("SET search_path = public"))
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table": VERSION_TABLE,
                "version_table_schema": SCHEMA,
                "compare_type": True,
            },
        )
        # A comment names a class of today, in whatever release the column was made.
        found = [one for one in compare_metadata(context, metadata) if not _is_comment(one)]
    engine.dispose()
    assert found == []


def _is_comment(difference: object) -> bool:
    return isinstance(difference, list) and all(one[0] == "modify_comment" for one in difference)


def test_head_is_the_newest_revision_in_the_folder(store: Store) -> None:
    with store.engine.connect() as connection:
        assert ScriptDirectory.from_config(alembic_config(connection)).get_current_head() == HEAD


def test_upgrade_is_idempotent_and_safe_from_two_threads(empty_database_url: str) -> None:
    run_together(threading.Thread(target=upgrade, args=(empty_database_url,)) for _ in range(2))
    upgrade(empty_database_url)
    engine = create_engine(driver_url(empty_database_url))
    with engine.connect() as connection:
        assert revision(connection) == HEAD
    engine.dispose()


@pytest.mark.catalogue("F51")
def test_a_database_written_by_a_newer_program_is_refused(store: Store, settings: Settings) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.schema_version SET version_num = '9999'"))
    with pytest.raises(Conflict) as refused:
        open_store(settings)
    assert refused.value.reason is Reason.DATABASE_VERSION
    assert "newer" in refused.value.message
    with pytest.raises(Conflict):
        upgrade(settings)


def test_a_query_server_reads_the_schema_of_a_newer_program_that_only_added_to_it(
    empty_database_url: str,
) -> None:
    upgrade(empty_database_url)
    settings = Settings.load(database_url=empty_database_url)
    store = open_store(settings)
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE rag.documents ADD COLUMN novelty text NOT NULL DEFAULT ''"))
        connection.execute(text("UPDATE rag.schema_version SET version_num = '9999'"))
    store.close()
    open_store(settings, or_newer=True).close()


def test_a_query_server_refuses_a_newer_schema_that_took_something_away(store: Store, settings: Settings) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.schema_version SET version_num = '9999'"))
        connection.execute(text("INSERT INTO rag.schema_readers VALUES ('9998')"))
    with pytest.raises(Conflict) as refused:
        open_store(settings, or_newer=True)
    assert refused.value.reason is Reason.DATABASE_VERSION


def test_a_database_from_before_the_first_release_is_refused_with_what_to_do(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE rag.schema_version SET version_num = '0030'")
    with pytest.raises(Conflict, match="keep the folder of sources") as refused:
        upgrade(empty_database_url)
    assert refused.value.reason is Reason.DATABASE_VERSION


def test_a_query_server_refuses_an_older_schema(store: Store, settings: Settings) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.schema_version SET version_num = '0001'"))
    with pytest.raises(Conflict, match="run `rag up`"):
        open_store(settings, or_newer=True)


def test_an_empty_database_is_refused_until_it_is_migrated(empty_database_url: str) -> None:
    settings = Settings.load(database_url=empty_database_url)
    with pytest.raises(Conflict, match="run `rag up`"):
        open_store(settings)
    upgrade(settings)
    open_store(settings).close()


def test_a_database_that_does_not_answer_is_unavailable_and_its_url_is_not_shown(free_tcp_port: int) -> None:
    settings = Settings.load(database_url=f"postgresql://rag:hunter22@127.0.0.1:{free_tcp_port}/rag")
    with pytest.raises(Unavailable) as refused:
        open_store(settings)
    assert refused.value.reason is Reason.DATABASE_UNAVAILABLE
    assert "hunter22" not in str(refused.value)


def test_a_role_that_the_database_refuses_is_named_as_that(database_url: str) -> None:
    settings = Settings.load(database_url=database_url.replace("//rag@", "//nobody-here@"))
    with pytest.raises(Unavailable) as caught:
        open_store(settings).engine.connect()
    assert "refuses the user" in caught.value.message


CALLS = (
    "rag.pending_chunks('c') p",
    "rag.pending_embeddings('c', 'e') p",
    "rag.pending_index('g') p",
    "rag.generations g CROSS JOIN LATERAL rag.pending_index(g.name) p",
    "unnest(ARRAY['g', 'h']) AS n (name) CROSS JOIN LATERAL rag.pending_index(n.name) p",
)


@pytest.mark.parametrize("call", CALLS)
def test_a_pending_function_is_part_of_the_plan_so_that_conditions_reach_the_indexes(store: Store, call: str) -> None:
    with store.engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        explained = connection.scalars(text(f"EXPLAIN SELECT p.doc_id FROM {call} WHERE p.doc_id = '{'0' * 32}'"))  # noqa: S608
        plan = "\n".join(explained)
    assert "Function Scan on pending" not in plan
    assert "(doc_id = '00000000-" in plan


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
