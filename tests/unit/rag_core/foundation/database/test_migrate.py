from __future__ import annotations

import threading
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
    threads = [threading.Thread(target=upgrade, args=(empty_database_url,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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
