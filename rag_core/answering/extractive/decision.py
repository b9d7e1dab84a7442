"""Answer, show the best matches, or report that nothing was found: a calibrated choice of three.

The probability that the best passage answers is a logistic regression over a few features of it, fitted by
cross-validation (docs/retrieval-answers.md says on what). Two thresholds on it make the three outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Final

from rag_core.answering.base import Outcome
from rag_core.answering.evidence import is_chinese
from rag_core.answering.extractive.question import Asked
from rag_core.answering.extractive.ranking import Candidate
from rag_core.answering.extractive.terms import NAMED
from rag_core.answering.extractive.weights import BY_WORDS, COMPARED, Evidence

ACROSS: Final = 0.1
"""Correction of MaxSim where question and documents are of different scripts (XQuAD, both directions)."""
SHOWN: Final = 3
"""Places of an answer, the further ones included."""
ELSEWHERE: Final = 0.8
"""Share of a Chinese question's words that may be known from other passages than the one that answers, for each unit
of its nearness (of 0.7 to 1 the best on two halves of XQuAD and two manuals)."""
_FEW: Final = 3
"""Passages from which an average cosine is meaningful."""


def decide_outcome(asked: Asked, candidates: Sequence[Candidate], threshold: float = 0.0) -> Outcome:
    """Decide on the places that a ranking shows: the first one answers, or any is near enough to be shown.

    `threshold` is taken from the log odds: higher answers less often.
    """
    evidence = COMPARED if candidates[0].matches is not None else BY_WORDS
    shown = range(min(SHOWN, len(candidates)) if evidence is COMPARED else 1)
    found = [features(asked, candidates, at) for at in shown]
    if _probability(evidence, _answering(asked, found[0]), threshold) >= evidence.answer_from:
        return Outcome.ANSWERED
    near = max(_probability(evidence, one, threshold) for one in found)
    if near >= evidence.closest_from or _is_named(asked, candidates):
        return Outcome.CLOSEST_PASSAGES
    return Outcome.NOT_FOUND


def _probability(evidence: Evidence, found: Mapping[str, float], threshold: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, evidence.odds(found) - threshold))))


def _answering(asked: Asked, found: dict[str, float]) -> dict[str, float]:
    """Return the features of the passage that would be the answer.

    That other passages know the words of a Chinese question says less: some passage has nearly any pair of characters.
    """
    if not is_chinese(asked.text):
        return found
    return {**found, "known": min(found["known"], found["words"] + ELSEWHERE * max(0.0, found["near"]))}


def features(asked: Asked, candidates: Sequence[Candidate], at: int = 0) -> dict[str, float]:
    """Compute the features of a passage of a ranking."""
    best = candidates[at]
    total = sum(term.weight for term in asked.terms) or 1.0
    # Words in another script than the documents' say nothing about what these know.
    foreign = best.matches is not None and is_chinese(asked.text) != is_chinese(best.passage.text)
    return {
        "late": best.matches.whole() + ACROSS * foreign if best.matches is not None else 0.0,
        "known": 1.0 if foreign else sum(term.weight for term in asked.terms if term.known) / total,
        "near": _nearness(best, candidates),
        "words": best.features["words"],
        "heading": best.features["heading"],
    }


def _nearness(best: Candidate, candidates: Sequence[Candidate]) -> float:
    """Return the ratio of the average distance of a passage to that of one, minus one. A ratio, because embedders
    spread cosines differently."""
    own = best.passage.dense
    known = [one.passage.dense for one in candidates if one.passage.dense is not None]
    if own is None or len(known) < _FEW:
        return 0.0
    return min(1.0, max(-0.3, (1 - mean(known)) / max(1 - own, 1e-3) - 1))


def _is_named(asked: Asked, candidates: Sequence[Candidate]) -> bool:
    """Return whether the best passage is of a page or section of the name that was asked for, or has the one word that
    was typed."""
    best = candidates[0].features
    return best["heading"] >= NAMED or (len({term.stems for term in asked.terms}) == 1 and best["words"] == 1.0)
