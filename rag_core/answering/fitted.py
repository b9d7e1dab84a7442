"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on which questions)."""

from __future__ import annotations

RANKING = {
    "own": 0.59, "both": 0.55, "title": 0.26, "score": 0.32, "rank": 0.07, "dense": 0.15, "kind": 1.16, "form": 0.23,
    "amount": 0.56, "short": -0.56, "guide": 0.57, "entry": 0.9, "opening": 0.59, "block": 0.66, "lead": 0.12,
    "first": 0.41, "support": 0.18, "leaf": 0.0, "leaf_precision": 0.09, "cosine": 0.27,
}  # fmt: skip
"""What each sign of a unit is worth in the order of units."""
EVIDENCE = {
    "own": 0.62, "both": 0.27, "passage": 1.53, "known": 1.07, "leaf": 0.42, "leaf_precision": -0.26,
    "near": 1.53, "cosine": 13.27, "margin": 1.46, "kind": 1.1, "form": 1.05, "few": 0.04, "unknown": -0.11,
    "apart": 2.56, "definition": -1.4, "agree": 0.16, "steps": 0.35, "plain": -0.39,
}  # fmt: skip
"""What each sign of the choice is worth in the log odds that the best unit answers."""
BIAS = -15.87
ANSWER_FROM = 0.72
"""Probability from which text with headings is given as the answer."""
PROSE_FROM = 0.35
"""The same for text without headings: a sentence is either near the question or not, so probabilities lie apart."""
CLOSEST_FROM = 0.08
"""Probability from which the closest passages are shown."""
