"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

RANKING = {
    "own": 0.24,
    "both": 0.73,
    "title": 0.29,
    "score": 0.44,
    "rank": 0.02,
    "dense": 0.16,
    "kind": 1.18,
    "form": 0.18,
    "amount": 0.62,
    "short": -0.65,
    "guide": 0.63,
    "entry": 0.7,
    "opening": 0.76,
    "block": 0.85,
    "lead": 0.0,
    "first": 0.5,
    "support": 0.21,
    "leaf": 0.0,
    "leaf_precision": 0.0,
    "cosine": 0.23,
}  # fmt: skip
"""What each sign of a unit is worth in the order of units."""
EVIDENCE = {
    "own": -0.45,
    "both": 1.01,
    "passage": 1.49,
    "known": 1.08,
    "near": 1.06,
    "cosine": 24.3,
    "margin": -0.16,
    "kind": 1.64,
    "form": 0.46,
    "apart": 1.94,
}  # fmt: skip
"""What each sign of the choice is worth in the log odds that the best unit answers."""
BIAS = -25.69
ANSWER_FROM = 0.44
"""Probability from which text with headings is given as the answer."""
PROSE_FROM = 0.18
"""The same for text without headings, where probabilities lie further apart."""
CLOSEST_FROM = 0.071
"""Probability from which the closest passages are shown."""
