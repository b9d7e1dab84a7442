"""Order passages by how well they answer: the order of the hybrid search, words, headings and late interaction.

The weights were found by cross-validation over the development questions (docs/retrieval-answers.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, pstdev
from typing import Final

from rag_core.answering.extractive.question import Asked
from rag_core.answering.extractive.reading import Passage
from rag_core.answering.extractive.terms import Bag, bag, coverage, naming
from rag_core.answering.extractive.weights import RANKING
from rag_core.answering.late_interaction import TokenMatches

POOL: Final = 3
"""Passages that are compared token by token: as many as are shown (of two or four: docs/retrieval-answers.md)."""
PREFERRED: Final = 6.0
"""Weight of what is added to the relevance of a passage, or taken from it, by age or an editor: the best relevance then
counts as much as the words and headings of the question."""
SHOWN_BEFORE: Final = 0.8
"""Share of a passage's words in the answer before, from which that showed it."""
_LEAST_SPREAD: Final = 0.012
"""Least standard deviation of cosines: below it all passages are equally near."""


@dataclass(slots=True)
class Candidate:
    """A retrieved passage: its rank in the search, what speaks for it, and the weighted sum."""

    rank: int
    passage: Passage
    features: dict[str, float]
    matches: TokenMatches | None = None
    score: float = 0.0

    def weigh(self) -> None:
        """Compute the score from the features."""
        self.score = sum(RANKING[name] * value for name, value in self.features.items())
        self.score += PREFERRED * self.passage.gain


def rank(passages: Sequence[Passage], asked: Asked, previous: str = "") -> list[Candidate]:
    """Order passages that were retrieved, best first, by what costs no model. `previous` is the answer that the
    question follows on: what it showed is preferred. Passages of which nothing can be shown come last."""
    shown = bag(previous)
    dense = _standard([one.dense for one in passages], _LEAST_SPREAD)
    found = [
        Candidate(at, passage, {"rank": -math.log(1 + at), "dense": dense[at], **_word_features(passage, asked, shown)})
        for at, passage in enumerate(passages)
    ]
    for one in found:
        one.weigh()
    return sorted(found, key=lambda one: (not one.passage.quotable, -one.score))


def rerank(candidates: Sequence[Candidate], matches: Sequence[TokenMatches]) -> list[Candidate]:
    """Put the first candidates, which `matches` are of, in a better order by MaxSim; the others stay behind them."""
    pool = list(candidates[: len(matches)])
    late = _standard([one.whole() for one in matches], 0.0)
    for one, found, value in zip(pool, matches, late, strict=True):
        one.matches = found
        one.features["late"] = value
        one.weigh()
    return sorted(pool, key=lambda one: -one.score) + list(candidates[len(matches) :])


def _word_features(passage: Passage, asked: Asked, shown: Bag) -> dict[str, float]:
    headings = "\n".join((passage.title, *passage.headings))
    leaf = passage.headings[-1] if passage.headings else passage.title
    return {
        "words": coverage(asked.terms, bag(f"{headings}\n{passage.text}")),
        "heading": max(naming(asked.terms, leaf), naming(asked.terms, passage.title)),
        "previous": _shown_before(passage, asked, shown),
        "opening": float(passage.ordinal == 0),
    }


def _shown_before(passage: Passage, asked: Asked, shown: Bag) -> float:
    """Return how far a passage of the answer before is what a follow-up may ask of: it has the words that this adds."""
    words = bag(passage.text)
    if not shown or len(shown & words) < SHOWN_BEFORE * len(words):
        return 0.0
    return coverage(asked.own, words) if asked.own else 1.0


def _standard(values: Sequence[float | None], least: float) -> list[float]:
    """Return the values in standard deviations from their mean; 0 for one that is not known."""
    known = [value for value in values if value is not None]
    spread = max(pstdev(known), least, 1e-9) if known else 1.0
    middle = mean(known) if known else 0.0
    return [0.0 if value is None else (value - middle) / spread for value in values]
