"""How the two legs are weighed against each other."""

from __future__ import annotations

import uuid

import pytest

from rag_core.index.fusion import by_distribution, fuse, lexical_share

A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))


def test_a_leg_is_placed_within_three_deviations_of_its_mean() -> None:
    placed = by_distribution({A: 3.0, B: 2.0, C: 1.0})
    assert placed == pytest.approx({A: 4 / 6, B: 0.5, C: 2 / 6})
    assert by_distribution({A: 30.0, B: 20.0, C: 10.0}) == pytest.approx(placed)


def test_equal_scores_say_nothing_and_no_scores_are_none() -> None:
    assert by_distribution({A: 7.0, B: 7.0}) == {A: 0.5, B: 0.5}
    assert by_distribution({}) == {}


def test_the_lexical_leg_counts_by_the_terms_that_its_hits_know_together() -> None:
    query = range(10)
    assert lexical_share(query, [[0, 99], [1, 0]]) == pytest.approx(0.4)
    assert lexical_share(query, [[0, 1, 2], [3, 4]]) == 1
    assert lexical_share(query, [query]) == 1
    assert lexical_share(query, [[99]]) == lexical_share([], [[1]]) == 0


def test_the_share_decides_between_the_legs() -> None:
    dense, lexical = {A: 0.9, B: 0.5, C: 0.1}, {C: 4.0}
    order = {share: [point for point, _ in fuse(dense, lexical, share, 3)] for share in (0.0, 0.4, 1.0)}
    assert order == {0.0: [A, B, C], 0.4: [A, C, B], 1.0: [C, A, B]}
    assert fuse(dense, lexical, 1.0, 1) == [(C, pytest.approx(2 / 6 + 0.5))]
