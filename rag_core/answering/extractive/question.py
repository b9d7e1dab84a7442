"""A question as the answerer reads it: its words with their weights, and whether it asks for a number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rag_core.answering.extractive.terms import Bag, Term, bag, question_terms
from rag_core.answering.numerals import CHINESE_NUMBER, NUMBER_WORD

INHERITED: Final = 0.4
"""Weight of a word of an earlier question beside those of the follow-up."""
_AMOUNT: Final = re.compile(
    r"\bhow\s+(?:many|much|long|large|big|often|old|fast|far|high|deep|soon)\b|\b(?:when|default|maximum|minimum|size|limit|port"
    r"|version|timeout)\b|多少|几[个次天年月]|多[大长久]|默认|上限|最[大小]|何时|什么时候",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(rf"\d|{NUMBER_WORD}|{CHINESE_NUMBER}|\bunlimited\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the terms to look for."""

    text: str
    terms: tuple[Term, ...]
    number: bool = False

    def has_number(self, text: str) -> bool:
        """Return whether a text has a number."""
        return _NUMBER.search(text) is not None


def understand(text: str, passages: Sequence[Bag], follow_up: str = "") -> Asked:
    """Weigh the terms of a question by their rarity among the passages.

    Of a `follow_up` its own words count, and those that it inherits less: a new noun is a new subject.
    """
    terms = question_terms(text, passages)
    if follow_up:
        own = bag(follow_up)
        terms = [one if not own.isdisjoint(one.stems) else replace(one, weight=one.weight * INHERITED) for one in terms]
    return Asked(text, tuple(terms), _AMOUNT.search(text) is not None)
