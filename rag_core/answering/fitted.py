"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

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
EVIDENCE = {
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
}  # fmt: skip
"""What each sign of the choice is worth in the log odds that the best unit answers."""
BIAS = -23.7
ANSWER_FROM = 0.57
"""Probability from which text with headings is given as the answer."""
PROSE_FROM = 0.34
"""The same for text without headings, where probabilities lie further apart."""
CLOSEST_FROM = 0.072
"""Probability from which the closest passages are shown."""
