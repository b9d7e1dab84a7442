"""Rank metrics, and confidence intervals of their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# --------------------------------------------------------------------------------------------------------------------
# Rank metrics over binary or graded judgements.


CUT = 10


def ndcg(ranking: Sequence[str], gains: dict[str, int], cut: int = CUT) -> float:
    """Normalised discounted cumulative gain of the first `cut` documents, in [0, 1]."""
    ideal = _dcg(sorted(gains.values(), reverse=True)[:cut])
    return _dcg([gains.get(document, 0) for document in ranking[:cut]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], gains: dict[str, int], cut: int = CUT) -> float:
    """Share of the relevant documents among the first `cut`."""
    return len(set(ranking[:cut]) & gains.keys()) / len(gains) if gains else 0.0


def reciprocal_rank(ranking: Sequence[str], gains: dict[str, int], cut: int = CUT) -> float:
    """1 / rank of the first relevant document within `cut`, else 0."""
    return next((1 / rank for rank, document in enumerate(ranking[:cut], 1) if document in gains), 0.0)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


# --------------------------------------------------------------------------------------------------------------------
# Confidence intervals for the difference of two systems on the same queries.


Scores = npt.NDArray[np.float64]
"""One score per query, shape [queries]."""
ROUNDS = 4000
_SEED = 20_261_124
_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval (percentile bootstrap)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def paired(ours: Scores, theirs: Scores, rounds: int = ROUNDS) -> Interval:
    """The mean of `ours - theirs` over the queries, with its interval. Deterministic.

    Queries are drawn with replacement, each with both scores, so that the difficulty of a query cancels out.
    """
    return resampled(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64), rounds)


def resampled(values: Scores, rounds: int = ROUNDS) -> Interval:
    """The mean of per-query values with its interval; zero without values."""
    count = len(values)
    if count == 0:
        return Interval(0.0, 0.0, 0.0)
    random = np.random.default_rng(_SEED)
    means = []
    page = max(1, _AT_ONCE // count)
    for start in range(0, rounds, page):
        drawn = random.integers(0, count, size=(min(page, rounds - start), count))
        means.append(values[drawn].mean(axis=1))
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return Interval(float(values.mean()), float(low), float(high))
