"""How the two legs are weighed against each other."""

from __future__ import annotations

import uuid

import pytest

from rag_core.retrieval.search import fuse, lexical_weight
from rag_core.retrieval.search.fusion import by_distribution, dense_weight

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
