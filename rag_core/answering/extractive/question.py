"""A question as the answerer reads it: its words with their weights, and what kind of thing it asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rag_core.answering.extractive.terms import Bag, Term, bag, question_terms

INHERITED: Final = 0.4
"""What a word of an earlier question weighs beside those of the follow-up."""
_AMOUNT: Final = re.compile(
    r"\bhow\s+(?:many|much|long|large|big|often|old|fast|far|high|deep|soon)\b|\b(?:when|default|maximum|minimum|size|limit|port"
    r"|version|timeout)\b|多少|几[个次天年月]|多[大长久]|默认|上限|最[大小]|何时|什么时候",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(
    r"\d|[一二三四五六七八九十百千]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|unlimited)\b",
    re.IGNORECASE,
)
_DEFINED: Final = re.compile(
    r"^\W*(?:what(?:'s| is| are| does)|define|explain|who is)\s+(?:an?\s+|the\s+)?"
    r"(\w[\w .-]{0,60}?)(?:\s+(?:do|mean))?\W*$"
    r"|^\W*(?:什么是|什麼是)(\w{1,20})\W*$|^\W*(\w{1,20}?)是(?:什么|什麼)\W*$",
    re.IGNORECASE,
)
_SUBJECT_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the terms to look for. `definition` finds what defines the thing that it asks for by its name."""

    text: str
    terms: tuple[Term, ...]
    number: bool = False
    definition: re.Pattern[str] | None = None

    def has_number(self, text: str) -> bool:
        """Whether a text has a number."""
        return _NUMBER.search(text) is not None

    def is_defined(self, text: str) -> bool:
        """Whether a text defines what is asked for."""
        return self.definition is not None and self.definition.search(text) is not None


def understand(text: str, passages: Sequence[Bag], follow_up: str = "") -> Asked:
    """Weigh the terms of a question by their rarity among the passages.

    Of a `follow_up` its own words count, and those that it inherits less: a new noun is a new subject.
    """
    terms = question_terms(text, passages)
    if follow_up:
        own = bag(follow_up)
        terms = [one if not own.isdisjoint(one.stems) else replace(one, weight=one.weight * INHERITED) for one in terms]
    return Asked(text, tuple(terms), _AMOUNT.search(text) is not None, _definition(follow_up or text))


def _definition(question: str) -> re.Pattern[str] | None:
    """A sentence, an entry or an aside that defines the subject of a question like "What is a chunk?"."""
    asks = _DEFINED.match(question)
    subject = next(filter(None, asks.groups()), "").strip() if asks else ""
    if not subject or len(subject.split()) > _SUBJECT_WORDS:
        return None
    name = r"\s+".join(map(re.escape, subject.split()))
    return re.compile(
        rf"(?:^|[.!?:\n]\s|\b(?:an?|the)\s)\W{{0,3}}(?:(?:an?|the)\s)?{name}s?\W{{0,3}}(?:\([^()]{{0,80}}\)\s)?"
        r"(?:is|are|was|means|refers|stands for|does|lets|consists)\b"
        rf"|(?:^|\n)\W{{0,4}}{name}\W{{0,3}}(?:\s[-–—]|[|:：]|\n)\s{{0,4}}\w"
        rf"|\((?:(?:an?|the|called)\s)?{name}\)|\bcalled (?:an? |the )?{name}\b|{name}(?:是|指|即)",
        re.IGNORECASE,
    )
