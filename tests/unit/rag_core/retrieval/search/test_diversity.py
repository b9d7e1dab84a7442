"""Maximal marginal relevance: 0 keeps the order of relevance, more of it brings what is unlike forward."""

from __future__ import annotations

import numpy as np
import pytest

from rag_core.retrieval.search import diversified

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
