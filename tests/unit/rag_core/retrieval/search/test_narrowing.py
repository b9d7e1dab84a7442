"""Which filters the words of a question name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rag_core.content.documents import TimeRange
from rag_core.retrieval.search import normal, suggest
from rag_core.settings import FieldType

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)  # a Wednesday
FIELDS = {"issued": FieldType.TIME, "team": FieldType.KEYWORD}


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("what changed today", "2026-03-04", "2026-03-05"),
        ("昨天的变更", "2026-03-03", "2026-03-04"),
        ("reports of last week", "2026-02-23", "2026-03-02"),
        ("incidents last month", "2026-02-01", "2026-03-01"),
        ("上个月的报告", "2026-02-01", "2026-03-01"),
        ("this month", "2026-03-01", "2026-04-01"),
        ("sales last year", "2025-01-01", "2026-01-01"),
        ("the price list of 2024", "2024-01-01", "2025-01-01"),
    ],
)
def test_times_are_ranges_of_a_declared_time(text: str, first: str, end: str) -> None:
    [found] = suggest(text, {}, FIELDS, NOW)
    wanted = TimeRange("metadata.issued", *(datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (first, end)))
    assert (found.condition, found.words in text) == (wanted, True)


def test_without_a_declared_time_last_month_is_of_the_last_change_and_a_year_is_no_time() -> None:
    assert [one.field for one in suggest("last month", {}, {}, NOW)] == ["updated_at"]
    assert suggest("the price list of 2024", {}, {}, NOW) == []


def test_a_value_needs_a_word_before_it_and_the_longest_one_counts() -> None:
    values = {normal(name): [("metadata.team", name)] for name in ("Leave", "Finance", "Finance-Asia")}
    assert suggest("How long is parental leave?", values, FIELDS, NOW) == []
    [found] = suggest("budget from the FINANCE asia team", values, FIELDS, NOW)
    assert (found.value, found.words) == ("Finance-Asia", "FINANCE asia")


@pytest.mark.parametrize("text", ["", "from", "in the", "version 2.2024", "2024-05-01", "part 20244", "在"])
def test_what_names_nothing_suggests_nothing(text: str) -> None:
    assert suggest(text, {"2024": [("metadata.team", "2024")]}, FIELDS, NOW) == []
