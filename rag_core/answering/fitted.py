"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

from dataclasses import dataclass

RANKING = {
    "own": 0.29,
    "both": 0.74,
    "title": 0.32,
    "score": 0.51,
    "rank": 0.07,
    "dense": 0.17,
    "kind": 1.37,
    "form": 0.26,
    "amount": 0.67,
    "short": -0.7,
    "guide": 0.66,
    "entry": 0.61,
    "opening": 1.27,
    "block": 0.69,
    "lead": 0.0,
    "first": 0.53,
    "support": 0.06,
    "leaf": 0.0,
    "leaf_precision": 0.02,
    "asks": 0.54,
    "cosine": 0.22,
}  # fmt: skip
"""What each sign of a unit is worth in the order of units."""


@dataclass(slots=True)
class Decision:
    """Whether the best unit answers. `evidence` says what each sign of the choice is worth in the log odds."""

    evidence: dict[str, float]
    bias: float
    answer_from: float
    """Probability from which it is given as the answer."""
    closest_from: float
    """Probability from which the closest passages are shown."""


HEADED = Decision(
    evidence={
        "own": -0.75,
        "both": 1.32,
        "passage": 1.24,
        "known": 0.96,
        "near": 0.47,
        "cosine": 28.77,
        "margin": -0.81,
        "kind": 1.69,
        "form": 1.15,
        "apart": 2.1,
    },
    bias=-29.05,
    answer_from=0.51,
    closest_from=0.086,
)
"""For text with headings."""
PROSE = Decision(
    evidence={
        "own": 0.38,
        "both": 0.62,
        "passage": 3.64,
        "known": 1.47,
        "near": 2.9,
        "cosine": 16.13,
        "margin": 2.43,
        "kind": -0.1,
        "form": 2.3,
        "apart": 2.35,
    },
    bias=-20.53,
    answer_from=0.4,
    closest_from=0.098,
)
"""For text without headings, where a sentence is either near the question or not."""
