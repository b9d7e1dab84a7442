"""Documents are written by version, in any order of their writers, and dated by what they or their source say."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from rag_core.content.documents import document_date, parse_date
from rag_core.content.documents import store as documents
from rag_core.content.parsing import Link, ParsedDocument
from rag_core.database import FEW_ROWS, Store
from tests.support import writer
from tests.support.waiting import run_together
from tests.support.writer import new_document


def _write(store: Store, locator: str, body: str, version: int) -> documents.WriteResult:
    with store.engine.begin() as connection:
        row = new_document(locator, body, source_version=version)
        return documents.write(connection, "acme", "push", 0, f"event-{version}", [row])


def _row(store: Store, locator: str):  # type: ignore[no-untyped-def]
    with store.engine.connect() as connection:
        return connection.execute(
            text("SELECT * FROM rag.documents WHERE locator = :locator"), {"locator": locator}
        ).one()


@pytest.mark.catalogue("F24")
@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
def test_the_highest_source_version_wins_whatever_the_order(store: Store, order: tuple[int, ...]) -> None:
    written = [_write(store, "a", f"text {version}", version) for version in order]
    row = _row(store, "a")
    assert (row.text, row.source_version) == ("text 3", 3)
    assert sum(outcome.stale for outcome in written) == sum(
        version < max(order[:position], default=0) for position, version in enumerate(order)
    )


@pytest.mark.catalogue("F24")
def test_two_writers_of_the_same_documents_neither_deadlock_nor_lose_the_newer_one(store: Store) -> None:
    names = [f"doc-{number}" for number in range(20)]

    def write(version: int, order: list[str]) -> None:
        for _ in range(5):
            with store.engine.begin() as connection:
                rows = [new_document(name, f"version {version}", source_version=version) for name in order]
                documents.write(connection, "acme", "push", 0, f"writer-{version}", rows)

    run_together(threading.Thread(target=write, args=args) for args in ((2, names), (3, names[::-1])))
    assert {_row(store, name).text for name in names} == {"version 3"}


@pytest.mark.catalogue("F24")
def test_two_writers_that_create_the_same_document_at_the_same_moment_are_one_after_the_other(store: Store) -> None:
    meeting, rounds = threading.Barrier(2), range(300)

    def write(version: int) -> None:
        for number in rounds:
            with store.engine.begin() as connection:
                row = new_document(f"new-{number}", f"version {version}", source_version=version)
                meeting.wait(60)
                documents.write(connection, "acme", "push", 0, f"writer-{version}", [row])

    run_together(threading.Thread(target=write, args=(version,)) for version in (2, 3))
    assert {_row(store, f"new-{number}").text for number in rounds} == {"version 3"}


def test_a_write_that_was_compared_with_an_older_row_is_ignored(store: Store) -> None:
    with store.engine.begin() as connection:
        documents.write(connection, "acme", "push", 0, "r1", [new_document("a", "one")])
        documents.write(connection, "acme", "push", 0, "r2", [new_document("a", "two", base=1)])
        late = documents.write(connection, "acme", "push", 0, "r3", [new_document("a", "late", base=1)])
    assert late == documents.WriteResult(stale=1)
    assert _row(store, "a").text == "two"


def test_the_same_content_again_is_no_new_version(store: Store) -> None:
    with store.engine.begin() as connection:
        documents.write(connection, "acme", "push", 0, "r1", [new_document("a", "one")])
        again = documents.write(connection, "acme", "push", 0, "r2", [new_document("a", "one", base=1)])
    assert again == documents.WriteResult(same=1)
    assert (_row(store, "a").version, _row(store, "a").run_id) == (1, "r1")


@pytest.mark.catalogue("F25")
def test_a_writer_killed_during_its_transactions_leaves_whole_batches_only(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    first = 0
    for kill in range(25):
        process = writer.start(database_url, ledger, first)
        _wait_for_lines(ledger, first + 1 + kill % 3)
        process.kill()
        process.join()
        acknowledged = ledger.read_text().splitlines()
        with store.engine.connect() as connection:
            stored = dict(
                connection.execute(
                    text("SELECT split_part(locator, '-', 1)::int, count(*) FROM rag.documents GROUP BY 1")
                ).all()
            )
        assert set(stored.values()) == {writer.BATCH}
        assert {int(line) for line in acknowledged} <= set(stored)
        assert len(stored) - len(acknowledged) in (0, 1)
        # The batch in flight may be in: it is written again, as a redelivery would.
        first = len(acknowledged)
        _forget_in_flight(store, ledger, stored)


def _forget_in_flight(store: Store, ledger: Path, stored: dict[int, int]) -> None:
    lines = ledger.read_text().splitlines()
    missing = sorted(set(stored) - {int(line) for line in lines})
    with store.engine.begin() as connection:
        for number in missing:
            connection.execute(
                text("DELETE FROM rag.documents WHERE split_part(locator, '-', 1)::int = :n"), {"n": number}
            )


def _wait_for_lines(ledger: Path, lines: int) -> None:
    deadline = time.monotonic() + 60
    while ledger.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_document_is_stored_the_same_alone_and_among_many(store: Store) -> None:
    locators = [f"d{number:02}" for number in range(FEW_ROWS + 1)]
    named = {"title": 'a "b"', "metadata": {"team": "x"}, "flags": frozenset({"f"}), "links": (Link(3, 7, "文.md"),)}
    parsed = ParsedDocument("A\n\ntext 文", "text/plain", **named)  # type: ignore[arg-type]
    rows = [replace(new_document(locator, "text"), document=parsed, acl=None, token="t\\n") for locator in locators]
    with store.engine.begin() as connection:
        for row in rows:
            documents.write(connection, "acme", "push", 0, "r", [row])
        alone = _contents(connection)
        connection.execute(text("DELETE FROM rag.documents"))
        documents.write(connection, "acme", "push", 0, "r", rows)
        assert _contents(connection) == alone
        assert len(alone) == len(rows)


def _contents(connection: Connection) -> list[tuple[Any, ...]]:
    found = connection.execute(text("SELECT * FROM rag.documents ORDER BY locator")).mappings()
    return [tuple((name, value) for name, value in row.items() if name != "updated_at") for row in found]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01 10:00:00 +0200", "2024-05-01T08:00:00+00:00"),
        ("Wed, 01 May 2024 10:00:00 GMT", "2024-05-01T10:00:00+00:00"),
        ("D:20240501103000+02'00'", "2024-05-01T00:00:00+00:00"),
        ("2024/5/1", "2024-05-01T00:00:00+00:00"),
        ("2024-05", "2024-05-01T00:00:00+00:00"),
    ],
)
def test_dates_are_read_as_front_matter_http_and_pdf_write_them(text: str, date: str) -> None:
    found = parse_date(text)
    assert found is not None
    assert found.isoformat() == date


@pytest.mark.parametrize("text", ["", "soon", "2024", "2024-13-01", "2024-02-30", "D:2024", "9" * 400, "\0", "-" * 64])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_what_changed_last_counts_and_the_header_of_a_server_only_without_a_date_of_the_document() -> None:
    header = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert str(document_date({"date": "2020-01-01", "lastmod": "2022-01-01"} | header))[:4] == "2022"
    assert str(document_date({"date": "2020-01-01"} | header))[:4] == "2020"
    assert str(document_date({"date": "some day"} | header))[:4] == "2026"
    assert document_date({"title": "2020-01-01"}) is None
