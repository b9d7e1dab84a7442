"""Compare the words of a question with those of passages: stems and pairs as in search, and misspellings.

A question becomes `Term`s with weights by rarity. A word that no passage knows is matched to the nearest one that some
passage does; what stays unknown weighs no more than the median word, so one odd word cannot sink a question, and how
much of the question is unknown is a sign of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from statistics import fmean, median
from typing import Final

from rag_core.answering.evidence import question_units
from rag_core.retrieval.search import STOPWORDS, stems

Bag = frozenset[int]

_PLAIN: Final = re.compile(r"(?<![A-Za-z0-9_./-])[A-Za-z]{5,30}(?![A-Za-z0-9_/-])")
_NUMBER: Final = re.compile(
    r"^\s*(?:第\s*\S{1,4}\s*[章节]|(?:chapter|section)\s+\d+|\d+(?:\.\d+)*)[.:、]?\s+", re.IGNORECASE
)
NEAR: Final = 0.8
"""Similarity from which a word counts as a misspelling of another."""
# Words that ask, or that only carry the sentence: a word list of the language, like the stop words.
_WORDS: Final = """
want need would like please tell explain help thing things something use used using get got make made way work
working works many much kind kinds type types name mean means difference between versus compare possible able let
know find another several various certain everything anything someone anyone else
"""
_EMPTY: Final = frozenset(_WORDS.split())


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of a question: found when any of `stems` is. `known` is false when no passage has it."""

    stems: tuple[int, ...]
    weight: float
    known: bool = True


@lru_cache(maxsize=1 << 14)
def bag(text: str) -> Bag:
    """Return the stems and pairs of a text. Cached: popular passages come again."""
    return frozenset(stems(text))


def question_terms(question: str, passages: Sequence[Bag]) -> list[Term]:
    """Weigh the terms of a question by their rarity among the passages."""
    units = question_units(_without_empty(question))
    total = len(passages)
    counts = [sum(not passage.isdisjoint(unit.terms) for passage in passages) for unit in units]
    raw = [
        unit.share * (0.6 + 0.5 * math.log(1 + (total - count + 0.5) / (count + 0.5)))
        for unit, count in zip(units, counts, strict=True)
    ]
    known = [weight for weight, count in zip(raw, counts, strict=True) if count]
    cap = median(known) if known else 1.0
    return [
        Term(unit.terms, weight if count else min(weight, cap), bool(count))
        for unit, weight, count in zip(units, raw, counts, strict=True)
    ]


def content_words(question: str) -> list[str]:
    """Return the words of an English question that could be looked for."""
    words = re.findall(r"[A-Za-z0-9_]+(?:'[a-z]+)?", question.casefold())
    return [word for word in words if word.split("'")[0] not in STOPWORDS and word not in _EMPTY]


def _without_empty(text: str) -> str:
    kept = " ".join(word for word in text.split() if word.strip("?!.,'\"").casefold() not in _EMPTY)
    return kept if kept and question_units(kept) else text


def coverage(terms: Sequence[Term], found: Bag) -> float:
    """The part of the question, in [0, 1], that a text covers."""
    total = sum(term.weight for term in terms)
    return sum(term.weight for term in terms if not found.isdisjoint(term.stems)) / total if total else 0.0


def share_of_words(question: str, text: str) -> float:
    """Return the share of a question's words, in [0, 1], that a text has."""
    return coverage(question_terms(question, ()), bag(text))


def precision(terms: Sequence[Term], text: str) -> float:
    """The part of a heading's words that the question has."""
    asked = {stem for term in terms for stem in term.stems}
    units = question_units(text)
    return sum(not asked.isdisjoint(unit.terms) for unit in units) / len(units) if units else 0.0


NAMED: Final = 0.6
"""From which a heading is what was asked for."""


def naming(terms: Sequence[Term], heading: str) -> float:
    """Return how far a heading is what is asked for: it has the words of the question, in their order, and few others.

    "How do I convert a string to a number?" is not asked for by one who has a number. The number of a heading ("8.7.",
    "第 8 章") does not count.
    """
    heading = _NUMBER.sub("", heading)
    return coverage(terms, bag(heading)) * precision(terms, heading) * _in_order(terms, heading)


def _in_order(terms: Sequence[Term], heading: str) -> float:
    """Return the share of neighbouring words of a question that a heading has in the same order; 1 without such."""
    units = question_units(heading)
    places = [
        next((at for at, unit in enumerate(units) if not set(term.stems).isdisjoint(unit.terms)), None)
        for term in terms
    ]
    known = [place for place in places if place is not None]
    return fmean([earlier <= later for earlier, later in pairwise(known)] or [1.0])


def vocabulary(texts: Iterable[str]) -> list[str]:
    """Return the words of five letters or more."""
    return sorted({word.casefold() for text in texts for word in _PLAIN.findall(text)})


def corrected(question: str, known: Sequence[str]) -> str:
    """Replace each word of a question that no text has by the nearest one that some text has."""
    found = frozenset().union(*map(bag, known))

    def better(match: re.Match[str]) -> str:
        word = match.group()
        folded = word.casefold()
        if folded in STOPWORDS or folded in _EMPTY or not found.isdisjoint(bag(folded)):
            return word
        similar = [other for other in known if other[0] == folded[0] and abs(len(other) - len(folded)) <= 2]
        return next(iter(get_close_matches(folded, similar, 1, NEAR)), word)

    return _PLAIN.sub(better, question)
