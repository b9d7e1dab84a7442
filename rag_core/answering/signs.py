"""What speaks for a unit before anything is embedded: its passage, its headings, its kind, its wording."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import mean, pstdev
from typing import Final

from rag_core.answering.asking import Asked, Wants
from rag_core.answering.evidence import question_units
from rag_core.answering.passages import Passage, Reading
from rag_core.answering.terms import Term, bag, coverage, precision
from rag_core.answering.units import Unit, UnitKind, is_chinese
from rag_core.content.parsing import BlockKind

_GUIDE: Final = re.compile(
    r"how-?to|tutorial|guide|quick-?start|getting-?started|install|usage|example|faq", re.IGNORECASE
)
_SAYS: Final = re.compile(
    r"\b(?:is|are|was|means?|refers? to|stands? for|describes?|represents?)\b"
    r"|\b(?:consists? of|contains?|holds?|lets?|allows?|provides?)\b"
    r"|[:—–]|是|指|表示|代表|称为|用于|即"
)
_DOES: Final = re.compile(r"\W{0,3}\s[a-z]{2,}s\b")
"""What something does follows its name."""
_STATES: Final = re.compile(
    r"\b(?:is|are|was|were|has|have|says?|does|did|can|cannot|must|may|will|should|not|fails?|failed|needs?|shows?|exits?|returns?|prints?)\b"
    r"|[是不没会说]"
)
"""With one of these a cell says something about a thing instead of naming it."""
_CELL: Final = " | "
_ASKS: Final = re.compile(
    r"[?？]\s*$|^\W*(?:how|why|what|when|where|which|who|can|could|do|does|did|is|are|should|will)\b|如何|怎么|怎样|为什么|什么",
    re.IGNORECASE,
)
_ANNOUNCES: Final = re.compile(
    r"^(?:this|the following|in this)\s+(?:\w+\s+)?"
    r"(?:tutorial|section|page|chapter|document|article|guide|part|appendix)\b"
    r"|^(?:it|we|you)\b.{0,12}\b(?:will|'ll)\s+(?:show|learn|see|explain|describe|discuss|look at)\b"
    r"|^(?:本|这一|这个)(?:章|节|文|页|部分|教程|指南|附录)|^(?:下面|以下)(?:是|将|介绍|说明|列出)",
    re.IGNORECASE,
)
"""A sentence that says what the text will say."""
HANGING_CHARS: Final = 200
"""Longer sentences say something before their colon."""
OF_SUBJECT: Final = 0.6
"""Part of the question's words from which a heading names what the question is about."""

K = UnitKind
PREFERRED: Final[dict[Wants, dict[UnitKind, float]]] = {
    Wants.DEFINITION: {
        K.LEAD: 0.6, K.TITLE: 0.7, K.DEFINITION: 0.5, K.SENTENCE: 0.1, K.ROW: -0.3, K.CODE: -0.9, K.USAGE: -0.6,
    },
    Wants.STEPS: {
        K.CODE: 0.5, K.ITEM: 0.15, K.LEAD: 0.15, K.SENTENCE: 0.05, K.ROW: -0.1, K.USAGE: -0.3, K.TITLE: -0.5,
    },
    Wants.FACT: {
        K.SENTENCE: 0.1, K.LEAD: 0.1, K.ROW: 0.2, K.ITEM: 0.1, K.DEFINITION: 0.1, K.CODE: -0.4, K.USAGE: -0.3,
        K.TITLE: -0.2,
    },
    Wants.COMPARISON: {
        K.SENTENCE: 0.15, K.LEAD: 0.2, K.ROW: 0.1, K.CODE: -0.3, K.USAGE: -0.2, K.TITLE: -0.2,
    },
    Wants.LIST: {
        K.ITEM: 0.25, K.ROW: 0.25, K.LEAD: 0.2, K.SENTENCE: 0.05, K.CODE: -0.4, K.USAGE: -0.2, K.TITLE: -0.2,
    },
    Wants.ANYTHING: {
        K.LEAD: 0.2, K.USAGE: -0.2, K.ROW: -0.05, K.TITLE: -0.1,
    },
}  # fmt: skip


class PassageSigns:
    """What a passage lends to its units. A neighbour has what the nearest hit of its document has, a little less."""

    def __init__(
        self, passages: Sequence[Passage], hits: int, terms: list[Term], entries: frozenset[int], asked: Asked
    ) -> None:
        self._passages = passages
        self._hits = hits
        self._terms = terms
        self._entries = entries
        self._asked = asked
        self._best = max((passage.score for passage in passages[:hits]), default=0) or 1.0
        dense = [passage.dense for passage in passages[:hits] if passage.dense is not None]
        self._mean = mean(dense) if dense else 0.0
        self._spread = max(0.008, pstdev(dense)) if len(dense) > 2 else 0.02
        self._support = Counter(passage.doc_id for passage in passages[: min(hits, 10)])
        self._known: dict[int, dict[str, float]] = {}

    def of(self, at: int) -> dict[str, float]:
        if at not in self._known:
            self._known[at] = self._signs(at)
        return dict(self._known[at])

    def _signs(self, at: int) -> dict[str, float]:
        passage = self._passages[at]
        lender, discount = (at, 1.0) if at < self._hits else (self._nearest(passage), 0.9)
        hit = self._passages[lender]
        dense = 0.0 if hit.dense is None else max(-2.0, min(3.0, (hit.dense - self._mean) / self._spread))
        name = re.sub(r"[-_/.]", " ", passage.locator)
        return {
            "score": discount * hit.score / self._best,
            "rank": discount / (1 + 0.25 * lender),
            "dense": discount * dense / 2,
            "title": coverage(self._terms, bag(f"{passage.title}\n{name}")),
            "guide": float(self._asked.wants is Wants.STEPS and _GUIDE.search(passage.locator) is not None),
            "entry": float(at in self._entries),
            "support": self._support.get(passage.doc_id, 0) / 5,
        }

    def _nearest(self, passage: Passage) -> int:
        hits = [at for at in range(self._hits) if self._passages[at].doc_id == passage.doc_id]
        return min(hits, key=lambda at: abs(self._passages[at].ordinal - passage.ordinal), default=self._hits - 1)


class HeadingSigns:
    """How far the headings above a unit are about the question, by path."""

    def __init__(self, terms: list[Term]) -> None:
        self._terms = terms
        self._known: dict[tuple[str, ...], dict[str, float]] = {}

    def of(self, unit: Unit) -> dict[str, float]:
        path = unit.path[-2:]
        if path not in self._known:
            leaves = [(coverage(self._terms, bag(leaf)), precision(self._terms, leaf)) for leaf in path]
            own = leaves[-1] if leaves else (0.0, 0.0)
            above = leaves[0] if len(leaves) > 1 else (0.0, 0.0)
            covered = max(own[0], 0.7 * above[0])
            self._known[path] = {
                "leaf": covered,
                "leaf_precision": max(own[1] if own[0] else 0.0, 0.6 * above[1] if above[0] else 0.0)
                * min(1.0, 2 * covered),
                "asks": own[0] * own[1] ** 2 if path and asks(path[-1]) else 0.0,
            }
        return self._known[path]


def asks(heading: str) -> bool:
    """Whether a heading is a question, as in a list of frequent ones: what stands below it answers."""
    return _ASKS.search(heading) is not None


def names(subject: str, heading: str) -> bool:
    """Whether a heading is about a subject: it begins with its words or consists of little else."""
    wanted = [stem for unit in question_units(subject) for stem in unit.terms]
    units = question_units(heading)
    own = [unit for unit in units if not set(wanted).isdisjoint(unit.terms)]
    covered = {stem for unit in own for stem in unit.terms}
    if not wanted or not covered.issuperset(wanted):
        return False
    return 2 * len(own) >= len(units) or units[0] in own


def preference(asked: Asked, unit: Unit, signs: dict[str, float], above: Sequence[str]) -> float:
    """How well a kind of unit suits the kind of answer. The first sentence of a section defines what a heading `above`
    it names, or what it begins with; a row does when its first cell is what is asked for."""
    if asked.wants is Wants.DEFINITION:
        if unit.kind is UnitKind.ROW and signs["form"] == 1.0:
            return 0.4
        if unit.kind is UnitKind.LEAD and signs["form"] < 1.0 and not any(names(asked.subject, one) for one in above):
            return PREFERRED[Wants.DEFINITION][UnitKind.SENTENCE]
    return PREFERRED[asked.wants].get(unit.kind, 0.0)


def depth(reading: Reading, at: int, most: int = 6) -> int:
    """How many blocks of its section stand before one, as far as they are known."""
    place, count = reading.places[at], 0
    while count < most and at and reading.document[at - 1] == reading.document[at]:
        at -= 1
        if reading.places[at].path != place.path or reading.places[at].block.kind is BlockKind.HEADING:
            break
        count += 1
    return count


def form(asked: Asked, unit: Unit) -> float:
    """Score a unit's wording, from 0 to 1: a definition begins with what it defines."""
    if asked.wants is not Wants.DEFINITION:
        return 0.0
    subject = asked.subject.casefold()
    text = unit.text.lstrip("-*•# \t")
    head = text[: len(subject) + 24].casefold()
    if unit.kind is UnitKind.ROW:
        cell = text.split(_CELL)[0].strip().casefold()
        cell = re.sub(r"^(?:the|an?) ", "", cell)
        whole = cell.startswith(subject) and not re.match(r"\w", cell[len(subject) :])
        said = re.split("[:：(（,，;；—–]", cell[len(subject) :], maxsplit=1)[0]
        return 1.0 if whole and len(cell) <= 3 * len(subject) + 24 and not _STATES.search(said) else 0.0
    if subject not in head:
        return 0.0
    opening = re.sub(r"^(?:an? |the |一个|一种)?[^\w]*", "", head)
    if opening.startswith(subject) and _DOES.match(opening, len(subject)):
        return 1.0
    if not _SAYS.search(text[: len(subject) + 40]):
        return 0.3
    return 1.0 if opening.startswith(subject) else 0.5


def amount(asked: Asked, unit: Unit) -> float:
    """Score a unit for a question that asks for a number: 1 with one, -1 without; 0 for other questions."""
    if not asked.amount:
        return 0.0
    return (
        1.0
        if re.search(r"\d", unit.text)
        or re.search(
            r"\b(?:one|two|three|four|five|six|ten|twelve|hundred|no limit|unlimited)\b|[一二三四五六七八九十百千]",
            unit.text,
        )
        else -1.0
    )


def is_short(unit: Unit, reading: Reading) -> bool:
    """Whether a unit says too little to be an answer: a few words, or that something will be said."""
    if unit.kind in (UnitKind.CODE, UnitKind.ROW, UnitKind.TITLE):
        return False
    if unit.kind in (UnitKind.LEAD, UnitKind.SENTENCE) and (_ANNOUNCES.search(unit.text) or _hangs(unit, reading)):
        return True
    return len(unit.text) < 8 if is_chinese(unit.text) else len(unit.text.split()) < 5


def _hangs(unit: Unit, reading: Reading) -> bool:
    """Whether a sentence introduces with a colon what is not there, as a picture."""
    if len(unit.text) > HANGING_CHARS or not unit.text.endswith((":", "：")) or unit.end < unit.place.block.end:
        return False
    later = unit.at + 1
    if later >= len(reading.places) or reading.document[later] != reading.document[unit.at]:
        return False
    return reading.places[later].block.kind in (BlockKind.PARAGRAPH, BlockKind.HEADING)
