"""A question as the answerer reads it: its words with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rag_core.answering.extractive.terms import Bag, Term, bag, question_terms

INHERITED: Final = 0.4
"""Weight of a word of an earlier question beside those of the follow-up."""
OUTWEIGHED: Final = 0.6
"""Weight of all of them together beside all of the follow-up's own: a new noun counts more than a long old question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the terms to look for."""

    text: str
    terms: tuple[Term, ...]
    own: tuple[Term, ...] = ()
    """Those of a follow-up itself, without what it inherits."""


def understand(text: str, passages: Sequence[Bag], follow_up: str = "") -> Asked:
    """Weigh the terms of a question by their rarity among the passages.

    Of a `follow_up` its own words count, and those that it inherits less: a new noun is a new subject.
    """
    terms = question_terms(text, passages)
    if not follow_up:
        return Asked(text, tuple(terms))
    said = bag(follow_up)
    own = tuple(one for one in terms if not said.isdisjoint(one.stems))
    added = sum(one.weight for one in own)
    inherited = sum(one.weight for one in terms) - added
    share = min(INHERITED, OUTWEIGHED * added / inherited) if added and inherited else INHERITED
    return Asked(text, tuple(one if one in own else replace(one, weight=one.weight * share) for one in terms), own)
