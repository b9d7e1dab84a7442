"""Rank metrics against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from rag_core.answering.evaluation import ndcg, recall, reciprocal_rank

GAINS = {"a": 3, "b": 1}


def test_the_ideal_order_scores_one() -> None:
    assert ndcg(["a", "b", "x"], GAINS) == pytest.approx(1)


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    dcg = 1 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    assert ndcg(["b", "x", "a"], GAINS) == pytest.approx(dcg / ideal)


def test_the_ideal_is_cut_at_the_same_rank() -> None:
    gains = {str(number): 1 for number in range(20)}
    assert ndcg([str(number) for number in range(10)], gains) == pytest.approx(1)


def test_nothing_beyond_the_cut_counts() -> None:
    ranking = [f"x{number}" for number in range(10)] + ["a"]
    assert (ndcg(ranking, GAINS), recall(ranking, GAINS), reciprocal_rank(ranking, GAINS)) == (0, 0, 0)


def test_recall_and_reciprocal_rank() -> None:
    assert recall(["x", "b"], GAINS) == 0.5
    assert reciprocal_rank(["x", "b"], GAINS) == 0.5


def test_no_judgements_score_nothing() -> None:
    assert (ndcg(["a"], {}), recall(["a"], {}), reciprocal_rank(["a"], {})) == (0, 0, 0)
