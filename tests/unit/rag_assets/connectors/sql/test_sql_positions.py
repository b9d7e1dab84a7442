"""Places in time are moved and compared in the spelling of their column."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rag_assets.connectors.sql.positions import moved_back, spelled

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
