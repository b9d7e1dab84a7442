"""A question as the answerer reads it: its words with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rag_core.answering.extractive.terms import Bag, Term, bag, question_terms

INHERITED: Final = 0.4
"""Weight of a word of an earlier question beside those of the follow-up."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the terms to look for."""

    text: str
    terms: tuple[Term, ...]


def understand(text: str, passages: Sequence[Bag], follow_up: str = "") -> Asked:
    """Weigh the terms of a question by their rarity among the passages.

    Of a `follow_up` its own words count, and those that it inherits less: a new noun is a new subject.
    """
    terms = question_terms(text, passages)
    if follow_up:
        own = bag(follow_up)
        terms = [one if not own.isdisjoint(one.stems) else replace(one, weight=one.weight * INHERITED) for one in terms]
    return Asked(text, tuple(terms))
