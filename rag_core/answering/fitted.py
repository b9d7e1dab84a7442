"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

from dataclasses import dataclass

RANKING = {
    "own": 0.29,
    "both": 1.0,
    "title": 0.31,
    "score": 0.4,
    "rank": 0.0,
    "dense": 0.17,
    "kind": 1.16,
    "form": 0.18,
    "amount": 0.65,
    "short": -0.68,
    "guide": 0.65,
    "entry": 0.63,
    "opening": 0.86,
    "block": 0.51,
    "lead": 0.0,
    "first": 0.51,
    "support": 0.2,
    "leaf": 0.0,
    "leaf_precision": 0.0,
    "cosine": 0.27,
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
        "own": -0.67,
        "both": 1.12,
        "passage": 1.57,
        "known": 1.22,
        "near": 3.12,
        "cosine": 21.85,
        "margin": -0.5,
        "kind": 1.23,
        "form": -0.02,
        "apart": 2.45,
    },
    bias=-23.7,
    answer_from=0.57,
    closest_from=0.072,
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
