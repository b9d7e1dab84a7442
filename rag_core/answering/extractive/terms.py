"""Compare the words of a question with those of passages: stems and pairs as in search, identifiers, misspellings.

A question becomes `Term`s with weights by rarity. A word that no passage knows is matched to the nearest one that some
passage does; what stays unknown weighs no more than the median word, so one odd word cannot sink a question, and how
much of the question is unknown is a sign of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import Final
from zlib import crc32

from rag_core.answering.evidence import question_units
from rag_core.retrieval.search import STOPWORDS, encode_query, stems

Bag = frozenset[int]

_IDENTIFIER: Final = re.compile(
    r"-{0,2}(?<![A-Za-z0-9])[A-Za-z0-9]++(?:[_.:/-][A-Za-z0-9]++)++"
    r"|(?<![A-Za-z0-9])[A-Z]?[a-z0-9]++[A-Z][A-Za-z0-9]++"
)
_WORDS_ONLY: Final = re.compile(r"(?<![^\W_])[a-z]{2,30}(?![^\W_])")
_PLAIN: Final = re.compile(r"(?<![A-Za-z0-9_./-])[A-Za-z]{5,30}(?![A-Za-z0-9_/-])")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CAMELS: Final = re.compile(r"\b[A-Za-z]+[a-z0-9][A-Z][A-Za-z0-9]*\b")
NEAR: Final = 0.8
"""Similarity from which a word counts as a misspelling of another."""
# Words that ask, or that only carry the sentence: a word list of the language, like the stop words.
_WORDS: Final = """
want need would like please tell explain help thing things something use used using get got make made way work
working works many much kind kinds type types name mean means difference between versus compare possible able let
know find another several various certain everything anything someone anyone else
"""
_EMPTY: Final = frozenset(_WORDS.split())
_EMPTY_CHINESE: Final = re.compile(
    "区别|區別|差别|差別|差异|差異|相比|请问|請問|可以|可不可以|能否|能不能|是否|应该|應該|意思"
)


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of a question: found when any of `stems` is. `known` is false when no passage has it."""

    text: str
    stems: tuple[int, ...]
    weight: float
    known: bool = True


@lru_cache(maxsize=1 << 14)
def bag(text: str) -> Bag:
    """The stems and pairs of a text, with its identifiers whole and in parts. Cached: popular passages come again."""
    found = set(stems(text))
    found.update(map(_whole, _IDENTIFIER.findall(text)))
    if _CAMEL.search(text):
        found.update(stem for word in _CAMELS.findall(text) for stem in word_stems(_CAMEL.sub(" ", word)))
    return frozenset(found)


def bags(texts: Iterable[str]) -> list[Bag]:
    """`bag` of each text, in order."""
    return [bag(text) for text in texts]


@lru_cache(maxsize=1 << 14)
def _whole(identifier: str) -> int:
    return crc32(("\0" + re.sub(r"[\W_]+", "_", identifier.strip("-_.:/").casefold())).encode())


def question_terms(question: str, passages: Sequence[Bag]) -> list[Term]:
    """The terms of a question, weighed by their rarity among the passages."""
    pieces: list[tuple[str, tuple[int, ...], float]] = []
    rest = question
    for identifier in dict.fromkeys(_IDENTIFIER.findall(question)):
        pieces.append((identifier, (_whole(identifier),), 1.0))
        pieces.extend((identifier, unit.terms, 0.4 * unit.share) for unit in question_units(identifier))
        rest = rest.replace(identifier, " ")
    pieces.extend(("", unit.terms, unit.share) for unit in question_units(_without_empty(rest)))
    if not pieces:
        pieces = [("", unit.terms, unit.share) for unit in question_units(question)]
    joined = _joined(rest, passages)
    return _weighed([(text, terms + joined.get(terms, ()), share) for text, terms, share in pieces], passages)


def _joined(question: str, passages: Sequence[Bag]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """For each word that some passage joins with its neighbour (back up: backup), what stands for both."""
    words = _WORDS_ONLY.findall(question.casefold())
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for one, other in pairwise(words):
        compound = word_stems(one + other)
        if any(not passage.isdisjoint(compound) for passage in passages):
            for word in (one, other):
                found[word_stems(word)] = found.get(word_stems(word), ()) + compound
    return found


def content_words(question: str) -> list[str]:
    """Return the words of an English question that could be looked for."""
    words = re.findall(r"[A-Za-z0-9_]+(?:'[a-z]+)?", question.casefold())
    return [word for word in words if word.split("'")[0] not in STOPWORDS and word not in _EMPTY]


def _without_empty(text: str) -> str:
    kept = " ".join(word for word in text.split() if word.strip("?!.,'\"").casefold() not in _EMPTY)
    kept = _EMPTY_CHINESE.sub(" ", kept)
    return kept if kept.strip() and question_units(kept) else text


def _weighed(pieces: list[tuple[str, tuple[int, ...], float]], passages: Sequence[Bag]) -> list[Term]:
    total = len(passages)
    held = [sum(any(stem in passage for stem in stems) for passage in passages) for _, stems, _ in pieces]
    raw = [
        share * (0.6 + 0.5 * math.log(1 + (total - count + 0.5) / (count + 0.5)))
        for (_, _, share), count in zip(pieces, held, strict=True)
    ]
    known = [weight for weight, count in zip(raw, held, strict=True) if count]
    cap = median(known) if known else 1.0
    return [
        Term(text, stems, weight if count else min(weight, cap), bool(count))
        for (text, stems, _), weight, count in zip(pieces, raw, held, strict=True)
    ]


def coverage(terms: Sequence[Term], found: Bag) -> float:
    """The part of the question, in [0, 1], that a text covers."""
    total = sum(term.weight for term in terms)
    return sum(term.weight for term in terms if not found.isdisjoint(term.stems)) / total if total else 0.0


def precision(terms: Sequence[Term], text: str) -> float:
    """The part of a heading's words that the question has."""
    asked = {stem for term in terms for stem in term.stems}
    units = question_units(text)
    return sum(not asked.isdisjoint(unit.terms) for unit in units) / len(units) if units else 0.0


NAMED: Final = 0.6
"""From which a heading is what was asked for."""


def naming(terms: Sequence[Term], heading: str) -> float:
    """Return how far a heading is what is asked for: it has the words of the question, and few others."""
    return coverage(terms, bag(heading)) * precision(terms, heading)


def is_named(terms: Sequence[Term], heading: str) -> bool:
    """Return whether a heading is what was asked for."""
    return naming(terms, heading) >= NAMED


def vocabulary(texts: Iterable[str]) -> dict[str, int]:
    """Count the texts that have each word of five letters or more."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in set(_PLAIN.findall(text)):
            folded = word.casefold()
            counts[folded] = counts.get(folded, 0) + 1
    return counts


def corrected(question: str, known: dict[str, int]) -> str:
    """Replace each word of a question that no text has by the nearest one that some text has, and split compounds."""
    held = {stem for word in known for stem in word_stems(word)}

    def better(match: re.Match[str]) -> str:
        word = match.group()
        folded = word.casefold()
        if folded in known or folded in STOPWORDS or folded in _EMPTY or not held.isdisjoint(word_stems(folded)):
            return word
        return _nearest(folded, known) or _compound(folded, known) or word

    return _PLAIN.sub(better, question)


@lru_cache(maxsize=1 << 15)
def word_stems(word: str) -> tuple[int, ...]:
    """Return the terms of one word."""
    return tuple(encode_query(word).indices)


def _nearest(word: str, known: dict[str, int]) -> str | None:
    """Find a word of the texts that differs by a letter or two: the same first letter, nearly the same length."""
    best, best_score = None, NEAR
    for other, count in known.items():
        if other[0] != word[0] or abs(len(other) - len(word)) > 2:
            continue
        matcher = SequenceMatcher(None, word, other, autojunk=False)
        if matcher.quick_ratio() < best_score:
            continue
        score = matcher.ratio() + min(count, 5) * 1e-3
        if score > best_score:
            best, best_score = other, score
    return best


def _compound(word: str, known: dict[str, int]) -> str | None:
    for cut in range(3, len(word) - 2):
        left, right = word[:cut], word[cut:]
        if (left in known or len(left) < 5) and right in known and left in known:
            return f"{left} {right}"
    return None
