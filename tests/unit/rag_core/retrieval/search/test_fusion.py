"""How the two legs are weighed against each other. Maximal marginal relevance: 0 keeps the order of relevance, more of
it brings what is unlike forward. Which filters the words of a question name."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import numpy as np
import pytest

from rag_core.content.documents import TimeRange
from rag_core.retrieval.search import diversified, fuse, lexical_weight, normal, suggest
from rag_core.retrieval.search.fusion import by_distribution, dense_weight
from rag_core.settings import FieldType

A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))
FLAT = {A: 0.81, B: 0.80, C: 0.80}
"""Everything is about equally near."""
PEAKED = {A: 0.95, B: 0.80, C: 0.80}


def test_a_leg_is_placed_within_three_deviations_of_its_mean() -> None:
    placed = by_distribution({A: 3.0, B: 2.0, C: 1.0})
    assert placed == pytest.approx({A: 4 / 6, B: 0.5, C: 2 / 6})
    assert by_distribution({A: 30.0, B: 20.0, C: 10.0}) == pytest.approx(placed)


def test_equal_scores_say_nothing_and_no_scores_are_none() -> None:
    assert by_distribution({A: 7.0, B: 7.0}) == {A: 0.5, B: 0.5}
    assert by_distribution({}) == {}


def test_the_lexical_leg_counts_by_the_terms_that_its_hits_know() -> None:
    query = range(10)
    assert lexical_weight(query, [[0, 99], [1, 0]]) == pytest.approx(0.2**2)
    assert lexical_weight(query, [[0, 1, 2, 3], [3, 4, 5, 6, 7, 8, 9]]) == 1
    assert lexical_weight(query, [[99]]) == lexical_weight(query, []) == lexical_weight([], [[1]]) == 0


def test_a_hit_with_every_term_of_the_query_is_a_name_or_a_quotation_and_counts_three_times() -> None:
    assert lexical_weight(range(4), [range(9), [77]]) == 3
    assert lexical_weight(range(4), [[0, 1, 2], [3]]) == 2


def test_the_dense_leg_counts_by_how_far_its_best_hit_stands_out() -> None:
    assert dense_weight(PEAKED.values()) == 1
    assert dense_weight(FLAT.values()) == pytest.approx(0.01 / 0.2 / 0.3)
    assert dense_weight([0.5]) == dense_weight([]) == 1, "there is nothing to stand out from"


def test_the_weights_decide_between_the_legs() -> None:
    dense, lexical = {A: 0.9, B: 0.5, C: 0.1}, {C: 4.0}
    order = {weight: [point for point, _ in fuse(dense, lexical, weight, 3)] for weight in (0.0, 0.4, 1.0)}
    assert order == {0.0: [A, B, C], 0.4: [A, C, B], 1.0: [C, A, B]}
    assert fuse(dense, lexical, 1.0, 1) == [(C, pytest.approx((2 / 6 + 0.5) / 2))]


def test_a_flat_dense_leg_yields_to_a_lexical_hit() -> None:
    assert next(iter(fuse(PEAKED, {B: 9.0, C: 1.0}, 0.3, 1)))[0] == A
    assert next(iter(fuse(FLAT, {B: 9.0, C: 1.0}, 0.3, 1)))[0] == B


def test_legs_that_say_nothing_leave_every_point_in_the_middle() -> None:
    assert fuse({A: 0.8, B: 0.8}, {}, 0.0, 2) == [(A, 0.5), (B, 0.5)]
    assert fuse({}, {}, 0.0, 2) == []


TWINS = np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0]], np.float32)
"""The first two say the same."""


def test_without_diversity_the_order_is_that_of_relevance() -> None:
    assert diversified([0.2, 0.9, 0.5], TWINS, 0.0) == [1, 2, 0]


def test_a_passage_unlike_the_best_comes_before_its_twin() -> None:
    assert diversified([0.9, 0.8, 0.7], TWINS, 0.5) == [0, 2, 1]
    assert diversified([0.9, 0.8, 0.0], TWINS, 0.1) == [0, 1, 2]


@pytest.mark.parametrize(("score", "length"), [(100.0, 1.0), (1.0, 100.0)])
def test_the_scale_of_scores_and_the_length_of_vectors_decide_nothing(score: float, length: float) -> None:
    scores = [0.9 * score, 0.8 * score, 0.7 * score]
    assert diversified(scores, TWINS * np.array([[1], [length], [1]], np.float32), 0.5) == [0, 2, 1]


def test_likeness_is_to_any_passage_before_and_not_to_the_last_alone() -> None:
    vectors = np.array([[1, 0, 0], [0, 1, 0], [1, 0.01, 0], [0, 0, 1]], np.float32)
    assert diversified([1.0, 0.9, 0.85, 0.8], vectors, 0.5) == [0, 1, 3, 2]


@pytest.mark.parametrize("diversity", [0.0, 0.5, 1.0])
def test_every_item_comes_once_also_where_all_are_equal_or_have_no_vector(diversity: float) -> None:
    assert sorted(diversified([0.5] * 4, np.zeros((4, 3), np.float32), diversity)) == [0, 1, 2, 3]
    assert diversified([0.5], np.ones((1, 3), np.float32), diversity) == [0]
    assert diversified([], np.zeros((0, 3), np.float32), diversity) == []


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
