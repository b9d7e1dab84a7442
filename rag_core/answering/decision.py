"""Answer, show the closest passages, or say that nothing was found: a calibrated choice of three.

The probability that the best unit answers is a logistic regression over signs of the choice, fitted by cross-validation
(docs/retrieval-answers.md says on what), one for text with headings and one for text without. Two thresholds on it
make the three outcomes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rag_core.answering.base import Outcome
from rag_core.answering.choosing import Choice
from rag_core.answering.fitted import HEADED, PROSE
from rag_core.answering.terms import bag, coverage

UNKNOWN: Final = 0.8
"""Stands for the cosine of a unit that was not embedded."""
USUAL: Final = 0.83
"""Cosine of an average hit with the model that the weights were fitted with."""
UNUSUAL: Final = 0.7
"""Below it another model is at work, whose cosines are brought to the same scale by the average hit's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome with its probability and the signs behind it."""

    outcome: Outcome
    probability: float
    signs: dict[str, float]


def judge(choice: Choice, *, vague: bool = False, threshold: float = 0.0) -> Verdict:
    """Decide on the best unit of a choice. A `vague` question, which names nothing, is never answered with confidence,
    and a unit that says too little never answers.

    `threshold` is taken from the log odds: higher answers less often.
    """
    if not choice.ranked:
        return Verdict(Outcome.NOT_FOUND, 0.0, {})
    signs = signs_of(choice)
    known = HEADED if choice.ranked[0].unit.path else PROSE
    odds = sum(known.evidence[name] * value for name, value in signs.items()) + known.bias - threshold
    probability = 1 / (1 + math.exp(-odds))
    if vague:
        return Verdict(Outcome.CLOSEST_PASSAGES, probability, signs)
    if probability >= known.answer_from and not choice.ranked[0].signs["short"]:
        return Verdict(Outcome.ANSWERED, probability, signs)
    outcome = Outcome.CLOSEST_PASSAGES if probability >= known.closest_from else Outcome.NOT_FOUND
    return Verdict(outcome, probability, signs)


def signs_of(choice: Choice) -> dict[str, float]:
    """The signs that the best unit answers."""
    best, terms = choice.ranked[0], choice.terms
    hits = choice.reading.passages[: choice.hits]
    dense = [hit.dense for hit in hits[:10] if hit.dense is not None]
    own_dense = best.passage.dense
    near = 0.0
    if own_dense is not None and len(dense) >= 3:
        near = min(1.0, max(-0.3, (1 - sum(dense) / len(dense)) / max(1 - own_dense, 1e-3) - 1))
    elsewhere = [
        one.score
        for one in choice.ranked[1:]
        if one.unit.path != best.unit.path or one.passage.doc_id != best.passage.doc_id
    ]
    others = [one.cosine for one in choice.pool if one.cosine]
    apart = 0.0
    if len(others) >= 3 and best.cosine:
        apart = min(1.0, (1 - sum(others) / len(others)) / max(1 - best.cosine, 1e-3) - 1)
    average = sum(dense) / len(dense) if dense else USUAL
    cosine = best.cosine or UNKNOWN
    if best.cosine and average < UNUSUAL:
        cosine = 1 - (1 - cosine) * (1 - USUAL) / (1 - average)
    weight = sum(term.weight for term in terms) or 1.0
    passage_bag = bag("\n".join((best.passage.title, *best.unit.path, best.passage.text)))
    return {
        "own": best.signs["own"],
        "both": best.signs["both"],
        "passage": coverage(terms, passage_bag),
        "known": sum(term.weight for term in terms if term.known) / weight,
        "near": near,
        "cosine": cosine,
        "margin": min(0.5, max(0.0, best.score - max(elsewhere, default=best.score))),
        "kind": best.signs["kind"],
        "form": best.signs["form"],
        "apart": apart,
    }
