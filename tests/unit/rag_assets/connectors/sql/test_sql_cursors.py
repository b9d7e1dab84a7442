"""A cursor that cannot order changes is refused; a value that would hide later changes is left out of the position.
Places in time are moved and compared in the spelling of their column."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from rag_assets.connectors.sql.connector import SqlConnector
from rag_assets.connectors.sql.listing import AHEAD
from rag_assets.connectors.sql.positions import furthest_number, moved_back, spelled
from rag_core.content.sources import Problem, Removed
from rag_core.errors import InvalidInput, Reason
from tests.unit.rag_assets.connectors.sql.conftest import Database, Open, items

MAX = 2**63 - 1


def listed(connector: SqlConnector) -> tuple[Any, dict[str, Problem]]:
    """A full listing that ended, and what it could not offer."""
    listing = connector.list_items()
    problems = {entry.locator: entry for entry in listing if isinstance(entry, Problem)}
    assert listing.error is None
    return listing, problems


def changed(connector: SqlConnector, listing: Any) -> set[str]:
    """The locators that a run for changes reads after a listing."""
    changes = connector.list_changes(listing.cursor)
    assert changes is not None
    found = {entry.locator for entry in changes if not isinstance(entry, Problem | Removed)}
    assert changes.error is None
    return found


def notes(database: Database, kind: str, *values: object) -> dict[str, Any]:
    """A table of notes with these cursors; the options that read it."""
    database.execute(f"CREATE TABLE notes (id integer PRIMARY KEY, body varchar(99), at {kind})")
    for number, value in enumerate(values, start=1):
        mark = "?" if database.driver == "sqlite" else "%s"
        database.execute(f"INSERT INTO notes VALUES ({number}, 'note', {mark})", [value])  # noqa: S608
    return {"table": "notes", "updated_at": "at", "overlap": 0}


@pytest.mark.parametrize(
    "values",
    [("9", "10"), ("2026-01-01 10:00:00", "yesterday"), ("2026-01-01T10:00:00", "2026-01-01 09:00:00"),
     ("2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00-05:00")],
    ids=["numbers", "words", "separators", "offsets"],
)  # fmt: skip
@pytest.mark.catalogue("A12")
def test_text_that_does_not_sort_as_a_time_is_refused_at_check_and_at_run(
    database: Database, connect_to: Open, values: tuple[str, ...]
) -> None:
    connector = connect_to(database, **notes(database, "varchar(99)", *values))
    checked = connector.check()
    assert not checked["ok"]
    assert str(Reason.CURSOR_NOT_USABLE) in checked["error"]
    listing = connector.list_items()
    assert list(listing) == []
    assert not listing.complete
    assert str(Reason.CURSOR_NOT_USABLE) in str(listing.error)
    with pytest.raises(InvalidInput) as refused:
        connector.version_tag()
    assert refused.value.reason is Reason.CURSOR_NOT_USABLE


@pytest.mark.parametrize("kind", ["boolean", "uuid"])
def test_a_type_that_does_not_grow_is_refused(postgres_database: Database, connect_to: Open, kind: str) -> None:
    connector = connect_to(postgres_database, **notes(postgres_database, kind))
    assert str(Reason.CURSOR_NOT_USABLE) in connector.check()["error"]


def test_numbers_among_texts_are_refused(sqlite_database: Database, connect_to: Open) -> None:
    connector = connect_to(sqlite_database, **notes(sqlite_database, "", 7, "2026-01-01"))
    assert str(Reason.CURSOR_NOT_USABLE) in connector.check()["error"]


def test_times_as_text_are_a_cursor(database: Database, connect_to: Open) -> None:
    options = notes(database, "varchar(99)", "2026-01-01T10:00:00Z", "2026-01-02T10:00:00.5Z", "2026-01-03")
    assert connect_to(database, **options).check()["ok"]


@pytest.mark.catalogue("A12")
def test_a_row_without_a_cursor_is_quarantined_by_its_key_and_read_once_it_has_one(
    database: Database, connect_to: Open
) -> None:
    database.articles(2)
    connector = connect_to(database, overlap=0)
    database.execute("INSERT INTO articles (id, body) VALUES (5, 'x')")
    listing, problems = listed(connector)
    assert {name: problem.reason for name, problem in problems.items()} == {"5": Reason.CURSOR_NULL}
    changes = connector.list_changes(listing.cursor)
    assert changes is not None
    assert [entry.locator for entry in changes if isinstance(entry, Problem)] == ["5"]
    database.execute("UPDATE articles SET updated_at = '2026-11-24 10:00:00' WHERE id = 5")
    assert "5" in changed(connector, listing)


def test_a_table_of_rows_without_a_cursor_is_quarantined_and_not_passed_over(
    database: Database, connect_to: Open
) -> None:
    database.articles(1)
    connector = connect_to(database)
    listing, _ = listed(connector)
    database.execute("UPDATE articles SET updated_at = NULL")
    changes = connector.list_changes(listing.cursor)
    assert changes is not None
    assert [entry.locator for entry in changes] == ["1"]


@pytest.mark.parametrize("far", ["2031-05-05 05:05:05", "9999-12-31 00:00:00"])
@pytest.mark.catalogue("A12")
def test_a_row_dated_years_ahead_freezes_neither_sensor_nor_run(database: Database, connect_to: Open, far: str) -> None:
    database.articles(3)
    database.put(9, at=far)
    connector = connect_to(database, overlap=0)
    listing, problems = listed(connector)
    assert {name: problem.reason for name, problem in problems.items()} == {AHEAD: Reason.CURSOR_AHEAD}
    assert "9" in items(connector.list_items()), "the row itself is read"
    before = connector.version_tag()
    database.put(2, "Another text.", at="2026-11-24 10:00:00")
    assert connector.version_tag() != before
    assert {"2", "9"} <= changed(connector, listing)
    before = connector.version_tag()
    database.put(9, at=far.replace("05:05", "06:06").replace("-31", "-30"))
    assert connector.version_tag() != before, "an edit of the row that is ahead is seen too"


@pytest.mark.parametrize("far", [MAX, 10**18 * 4])
@pytest.mark.catalogue("A12")
def test_the_largest_number_freezes_neither_sensor_nor_run(database: Database, connect_to: Open, far: int) -> None:
    connector = connect_to(database, **notes(database, "bigint", 100, 200, far))
    listing, problems = listed(connector)
    assert set(problems) == {AHEAD}
    before = connector.version_tag()
    database.execute("UPDATE notes SET at = 300 WHERE id = 1")
    assert connector.version_tag() != before
    assert {"1", "3"} <= changed(connector, listing)


def test_the_largest_number_of_a_small_column_is_no_position(postgres_database: Database, connect_to: Open) -> None:
    connector = connect_to(postgres_database, **notes(postgres_database, "integer", 5, 2**31 - 1))
    listing, _ = listed(connector)
    assert listing.cursor["position"] == "5"


def test_a_unix_time_years_ahead_is_no_position(database: Database, connect_to: Open) -> None:
    now = int(time.time())
    connector = connect_to(database, **notes(database, "bigint", now - 900, now - 800, now + 10**8))
    listing, problems = listed(connector)
    assert (str(listing.cursor["position"]), set(problems)) == (str(now - 800), {AHEAD})


def test_a_counter_is_not_taken_for_a_time() -> None:
    now = 1_800_000_000.0
    assert furthest_number("1", "int8", now) > 10**18
    assert furthest_number(None, "int8", now) > 10**18
    assert furthest_number(1_700_000_000, "int8", now) == 1_800_086_400
    assert furthest_number("1700000000000", "int8", now) == 1_800_086_400_000
    assert furthest_number("3", "int4", now) == 2**31 - 2


def test_a_position_kept_by_an_earlier_release_is_not_trusted(database: Database, connect_to: Open) -> None:
    from rag_core.ids import fingerprint

    connector = connect_to(database, **notes(database, "bigint", 1, MAX))
    options = connector._options
    names = (options.table, options.query, options.key, options.updated_at, options.deleted)
    assert connector.list_changes({"layout": fingerprint(options.database, *names), "position": MAX}) is None


WHEN = datetime(2026, 11, 24, 12, 0, 30, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("like", "written"),
    [
        ("2026-01-01", "2026-11-24"),
        ("2026-01-01 00:00:00", "2026-11-24 12:00:30"),
        ("2026-01-01T00:00:00Z", "2026-11-24T12:00:30Z"),
        ("2026-01-01 00:00:00.123", "2026-11-24 12:00:30.123"),
        ("2026-01-01 00:00:00.123456+00", "2026-11-24 12:00:30.123456+00:00"),
        ("2026-01-01T00:00:00+05:30", "2026-11-24T17:30:30+05:30"),
        ("2026-01-01T00:00:00.5-05:00", "2026-11-24T07:00:30.1-05:00"),
    ],
)
def test_a_time_is_spelled_as_the_column_spells_times(like: str, written: str) -> None:
    assert spelled(WHEN, like) == written


def test_a_position_is_moved_back_within_its_own_zone() -> None:
    assert moved_back("2026-01-01 00:00:10-05:00", 20) == "2025-12-31 23:59:50-05:00"
    assert moved_back("17", 20) == "-3"
