"""What a pipeline stores and what its rows say, as the history has it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from rag_assets.defs.history.sensors import record
from rag_core.database import Store
from rag_core.database.tables.content import documents, sources
from rag_core.governance.history import TimeSpan, read_history
from rag_core.settings import Settings

NOON = 1_789_999_200


def points(store: Store, now: float) -> dict[tuple[str, str], dict[int, float]]:
    with store.engine.connect() as connection:
        found = read_history(connection, TimeSpan.HOUR, datetime.fromtimestamp(now, UTC), tenant="acme", platform=True)
    return {
        (one.name, one.label): {(at - NOON) // 60: value for at, value in one.points.items()} for one in found.series
    }


def measured(store: Store, settings: Settings, cursor: str, minute: int) -> str:
    return record(store, settings, cursor, NOON + 60 * minute + 5)[1]


@pytest.fixture
def source(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(sources.insert().values(tenant="acme", name="handbook", kind="folder"))
        values = {"tenant": "acme", "source": "handbook", "version": 1, "text_version": 1, "source_version": 1,
                  "token": "t", "parsed_as": "p", "content_hash": b"h", "text_hash": b"h", "bytes": 1,
                  "media_type": "text/plain", "text": "x", "run_id": "r"}  # fmt: skip
        for number in range(3):
            row = {**values, "doc_id": f"00000000-0000-0000-0000-00000000000{number}", "locator": f"{number}.md"}
            connection.execute(documents.insert().values(row))


@pytest.mark.usefixtures("source")
def test_the_sensor_measures_every_minute_once_and_stands_for_one_that_it_left_out(
    store: Store, settings: Settings
) -> None:
    cursor = measured(store, settings, "", 1)
    assert measured(store, settings, cursor, 1) == cursor
    cursor = measured(store, settings, cursor, 3)  # ran late: for the minutes 1 and 2
    measured(store, settings, cursor, 30)  # was away: only for the last minute
    found = points(store, NOON + 31 * 60)
    assert found["documents", "handbook"] == {0: 3.0, 1: 3.0, 2: 3.0, 29: 3.0}
    assert set(found["disk", "database"]) == {0, 1, 2, 29}


@pytest.mark.usefixtures("source")
def test_switched_off_it_deletes_what_is_there(store: Store, settings: Settings) -> None:
    measured(store, settings, "", 1)
    off = settings.model_copy(update={"history_days": 0})
    assert record(store, off, "", NOON + 7200)[0] == "switched off"
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM rag.history").scalar_one() == 0


@pytest.mark.usefixtures("source")
def test_a_minute_that_is_written_while_it_is_read_is_not_shown_as_zero(store: Store, settings: Settings) -> None:
    cursor = measured(store, settings, "", 1)
    now = datetime.fromtimestamp(NOON + 3 * 60, UTC)
    with store.engine.connect() as connection:

        @event.listens_for(connection, "after_cursor_execute", once=True)
        def write(*_: object) -> None:
            measured(store, settings, cursor, 2)

        found = read_history(connection, TimeSpan.HOUR, now, tenant="acme", platform=True)
    [line] = [one for one in found.series if one.name == "documents"]
    assert set(line.points.values()) == {3.0}
