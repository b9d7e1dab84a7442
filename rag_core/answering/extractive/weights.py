"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RANKING: Final = {
    "rank": 0.5,
    "dense": 1.0,
    "words": 2.0,
    "heading": 1.5,
    "opening": 0.8,
    "previous": 1.0,
    "late": 0.4,
}
"""Weight of each feature of a passage in the order of passages."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A logistic regression: weights of the features of the best passage in the log odds that it answers."""

    weights: Mapping[str, float]
    bias: float
    answer_from: float
    """Probability from which it is given as the answer."""
    closest_from: float
    """Probability from which the best matches are shown."""

    def odds(self, features: Mapping[str, float]) -> float:
        """The log odds that a passage with these features answers."""
        return sum(weight * features[name] for name, weight in self.weights.items()) + self.bias


COMPARED: Final = Evidence(
    weights={"late": 29.41, "known": 3.28, "near": 6.21},
    bias=-29.92,
    answer_from=0.7,
    closest_from=0.08,
)
"""For questions that were compared token by token."""
BY_WORDS: Final = Evidence(
    weights={"words": 1.63, "heading": 0.91, "known": 3.82, "near": 7.53},
    bias=-7.3,
    answer_from=0.67,
    closest_from=0.08,
)
"""For models that give no states of tokens."""
