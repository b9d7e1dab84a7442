# ruff: noqa: S608
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rag_assets.connectors.sql.connector import SqlConnector
from rag_core.content.sources import Problem, Removed, SourceItem
from rag_core.errors import NotFound, RagError, Reason
from tests.support.waiting import eventually
from tests.unit.rag_assets.connectors.sql.conftest import Database, Open, items


def cursor_of_all(connector: SqlConnector) -> Any:
    """The cursor after a listing of everything."""
    listing = connector.list_items()
    list(listing)
    return listing.cursor


def test_every_row_is_an_item_and_a_page_border_loses_none(database: Database, connect_to: Open) -> None:
    database.articles(7)
    listing = connect_to(database, page=3).list_items()
    assert sorted(items(listing), key=int) == [str(number) for number in range(1, 8)]
    assert (listing.complete, listing.error, listing.rows) == (True, None, 7)


def test_a_row_becomes_text_title_metadata_and_permissions(database: Database, connect_to: Open) -> None:
    database.articles(0)
    database.put(1, "Hello.", title="Greeting", author="Ann", readers="staff, user:bob, everyone")
    connector = connect_to(
        database,
        content=["title", "body"],
        title="title",
        metadata={"author": "author"},
        acl={"column": "readers", "prefix": "group:"},
        media_type="text/markdown",
    )
    raw = connector.fetch(SourceItem("1", "t"))
    assert (raw.content, raw.title, raw.media_type) == (b"Greeting\n\nHello.", "Greeting", "text/markdown")
    assert raw.acl == ("group:staff", "user:bob", "everyone")
    assert raw.metadata == {"author": "Ann"}


def test_permissions_that_name_no_one_admit_no_one_and_null_says_nothing(database: Database, connect_to: Open) -> None:
    database.articles(0)
    database.put(1, readers=" , ")
    database.put(2, readers=None)
    database.put(3, readers='["group:a b", "group:ok"]')
    connector = connect_to(database, acl={"column": "readers"})
    found = [connector.fetch(SourceItem(str(number), "t")).acl for number in (1, 2, 3)]
    assert found == [("group:rag-nobody",), None, ("group:ok",)]


def test_a_changed_row_has_another_token_and_the_sensor_sees_it(database: Database, connect_to: Open) -> None:
    database.articles(3)
    connector = connect_to(database)
    before, looked = items(connector.list_items()), connector.version_tag()
    assert connector.version_tag() == looked
    database.put(2, "New text.", at="2026-11-23 11:00:00")
    after = items(connector.list_items())
    assert {name for name in after if after[name].version_tag != before[name].version_tag} == {"2"}
    assert connector.version_tag() != looked


def test_the_listing_says_what_the_sensor_would_have_said(database: Database, connect_to: Open) -> None:
    database.articles(3)
    connector = connect_to(database)
    listing = connector.list_items()
    list(listing)
    assert listing.version_tag == connector.version_tag()


def test_a_hard_and_a_soft_deletion_change_what_the_sensor_sees(database: Database, connect_to: Open) -> None:
    database.articles(3)
    connector = connect_to(database, deleted="removed")
    tokens = [connector.version_tag()]
    database.execute("DELETE FROM articles WHERE id = 1")
    tokens.append(connector.version_tag())
    database.execute("UPDATE articles SET removed = 1 WHERE id = 2")
    tokens.append(connector.version_tag())
    assert len(set(tokens)) == 3
    assert list(items(connector.list_items())) == ["3"]


def test_a_soft_deleted_row_cannot_be_read(database: Database, connect_to: Open) -> None:
    database.articles(1)
    database.execute("UPDATE articles SET removed = 1")
    with pytest.raises(NotFound) as caught:
        connect_to(database, deleted="removed").fetch(SourceItem("1", "t"))
    assert caught.value.reason is Reason.VANISHED


def test_only_what_changed_is_listed_and_deleted_rows_are_named(database: Database, connect_to: Open) -> None:
    database.articles(5)
    connector = connect_to(database, deleted="removed", overlap=0, page=1)
    cursor = cursor_of_all(connector)
    database.put(2, at="2026-11-23 10:00:01")
    database.put(4, at="2026-11-23 10:00:02", removed=1)
    database.put(9, at="2026-11-23 10:00:03")
    database.execute("UPDATE articles SET updated_at = '2026-11-20 00:00:00' WHERE id IN (1, 3, 5)")
    changes = connector.list_changes(cursor)
    assert changes is not None
    entries = list(changes)
    assert [entry.locator for entry in entries] == ["2", "4", "9"]
    assert [type(entry) for entry in entries] == [SourceItem, Removed, SourceItem]
    assert (changes.complete, changes.rows) == (True, 5)


def test_a_row_committed_late_is_found_within_the_overlap(database: Database, connect_to: Open) -> None:
    database.articles(3)
    connector = connect_to(database, overlap=60)
    cursor = cursor_of_all(connector)
    database.put(7, at="2026-11-23 09:59:30")
    database.put(8, at="2026-11-23 09:58:30")
    assert set(items(connector.list_changes(cursor))) == {"1", "2", "3", "7"}


@pytest.mark.catalogue("F43")
def test_a_row_dated_in_the_future_does_not_hide_what_is_written_now(database: Database, connect_to: Open) -> None:
    database.articles(2)
    database.put(3, at="2999-01-01 00:00:00")
    connector = connect_to(database)
    cursor = cursor_of_all(connector)
    now = datetime.now(UTC) + timedelta(seconds=5)
    database.put(4, at=f"{now:%Y-%m-%d %H:%M:%S}")
    assert {"3", "4"} <= set(items(connector.list_changes(cursor)))


@pytest.mark.catalogue("F43")
def test_a_cursor_from_before_the_clock_was_set_back_does_not_skip_rows(database: Database, connect_to: Open) -> None:
    database.articles(1)
    connector = connect_to(database)
    cursor = cursor_of_all(connector)
    ahead = {**cursor, "position": "2999-01-01 00:00:00"}
    now = datetime.now(UTC)
    database.put(2, at=f"{now:%Y-%m-%d %H:%M:%S}")
    assert "2" in items(connector.list_changes(ahead))


def test_a_row_written_this_very_second_is_looked_at_once_more(database: Database, connect_to: Open) -> None:
    database.articles(0)
    clocks = {"postgresql": "date_trunc('second', now())", "mysql": "utc_timestamp()", "sqlite": "datetime('now')"}
    clock = clocks[database.driver]
    database.execute(f"INSERT INTO articles (id, body, updated_at) VALUES (1, 'x', {clock})")

    def is_young() -> bool:
        database.execute(f"UPDATE articles SET updated_at = {clock} WHERE id = 1")
        return items(connect_to(database).list_items())["1"].version_tag.endswith(":young")

    assert eventually(is_young)  # the listing of a busy machine may begin more than a second later


def test_a_cursor_of_another_table_or_key_is_of_no_use(database: Database, connect_to: Open) -> None:
    database.articles(1)
    connector = connect_to(database)
    listing = connector.list_items()
    list(listing)
    assert connector.list_changes(listing.cursor) is not None
    assert connect_to(database, key="title").list_changes(listing.cursor) is None
    assert connector.list_changes({}) is None


def test_a_composite_key_is_paged_and_read_back(database: Database, connect_to: Open) -> None:
    database.execute("CREATE TABLE pages (book text, page integer, body text, updated_at text)")
    for book in ("a/b", "100%", "中文"):
        for page in (1, 2):
            database.execute(f"INSERT INTO pages VALUES ('{book}', {page}, 'text', '2026-01-01')")
    connector = connect_to(database, table="pages", key=["book", "page"], page=2)
    found = items(connector.list_items())
    assert set(found) == {"a%2Fb/1", "a%2Fb/2", "100%25/1", "100%25/2", "中文/1", "中文/2"}
    assert all(connector.fetch(item).content == b"text" for item in found.values())


def test_an_integer_version_works_as_well_as_a_time(database: Database, connect_to: Open) -> None:
    database.execute("CREATE TABLE notes (id integer PRIMARY KEY, body text, version bigint)")
    for number in range(1, 21):
        database.execute(f"INSERT INTO notes VALUES ({number}, 'note', {number * 100})")
    connector = connect_to(database, table="notes", updated_at="version", overlap=250)
    cursor = cursor_of_all(connector)
    database.execute("UPDATE notes SET version = 2100 WHERE id = 1")
    assert set(items(connector.list_changes(cursor))) == {"1", "18", "19", "20"}


def test_a_query_is_a_source_like_a_table(database: Database, connect_to: Open) -> None:
    database.articles(4)
    joined = "concat(title, ': ', body)" if database.driver == "mysql" else "title || ': ' || body"
    query = f"SELECT id, {joined} AS body, updated_at FROM articles WHERE id > 1 -- a comment"
    connector = connect_to(database, table=None, query=query, page=2)
    found = items(connector.list_items())
    assert set(found) == {"2", "3", "4"}
    assert connector.fetch(found["3"]).content == b"Title 3: Body of article 3."


def test_rows_without_a_key_are_reported_once(database: Database, connect_to: Open) -> None:
    database.execute("CREATE TABLE loose (id text, body text, updated_at text)")
    database.execute("INSERT INTO loose VALUES (NULL, 'x', '2026-01-01'), ('a', 'y', '2026-01-01')")
    entries = list(connect_to(database, table="loose").list_items())
    assert [entry.reason for entry in entries if isinstance(entry, Problem)] == [Reason.KEY_MISSING]
    assert [entry.locator for entry in entries if isinstance(entry, SourceItem)] == ["a"]


def test_a_key_that_is_not_unique_is_refused_when_read(database: Database, connect_to: Open) -> None:
    database.execute("CREATE TABLE twice (id text, body text, updated_at text)")
    database.execute("INSERT INTO twice VALUES ('a', 'x', '2026-01-01'), ('a', 'y', '2026-01-01')")
    with pytest.raises(RagError) as caught:
        connect_to(database, table="twice").fetch(SourceItem("a", "t"))
    assert caught.value.reason is Reason.KEY_NOT_UNIQUE


def test_check_describes_the_source_and_says_what_is_wrong(database: Database, connect_to: Open) -> None:
    database.articles(12)
    found = connect_to(database).check()
    assert (found["ok"], found["items"], len(found["sample"]), found["error"]) == (True, 12, 10, None)
    wrong = connect_to(database, title="titel").check()
    assert (wrong["ok"], wrong["error"]) == (
        False,
        "SCHEMA_CHANGED: column: there is no column 'titel' (any more); did you mean 'title'?",
    )
