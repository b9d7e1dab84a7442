"""How sure a difference between two systems is, from their scores on the same queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
"""One score per query, shape [queries]."""
ROUNDS = 4000
_SEED = 20_261_124
_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the bounds that hold it in 95 of 100 repetitions (percentile bootstrap)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def paired(ours: Scores, theirs: Scores, rounds: int = ROUNDS) -> Interval:
    """The mean of `ours - theirs` over the queries, with its interval. The same input gives the same interval.

    Queries are drawn with replacement, each with both of its scores: what makes a query hard cancels out.
    """
    return resampled(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64), rounds)


def resampled(values: Scores, rounds: int = ROUNDS) -> Interval:
    """The mean of per-query values with its interval; zero without any."""
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
