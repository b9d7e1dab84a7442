"""Which unit answers. Words and headings first, for all units; then the embedder's cosine for the best few.

A unit costs about 10 ms of a core to embed, so ten are compared at most, cut short, and the last four only when they
could win. The weights were fitted over questions of all kinds (docs/retrieval-answers.md).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean, pstdev
from typing import Final

from rag_core.answering.asking import Asked, Wants
from rag_core.answering.passages import Passage, Reading
from rag_core.answering.terms import Bag, Term, bag, bags, coverage, precision
from rag_core.answering.units import BOX, Unit, UnitKind, is_chinese, units
from rag_core.embedding import Vectors
from rag_core.parsing import BlockKind

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]

POOL: Final = 10
AT_ONCE: Final = 6
HOPE: Final = 0.6
PER_SECTION: Final = 3
PER_DOCUMENT: Final = 5
EMBEDDED_CHARS: Final = 320
COSINE_STEP: Final = 0.025
FIRST_STEP: Final = 0.4
"""What the first command of a section may score less, before cosines, than the one that was found."""
ALIKE: Final = 0.8
"""Share of common words from which two texts say the same."""

_GUIDE: Final = re.compile(
    r"how-?to|tutorial|guide|quick-?start|getting-?started|install|usage|example|faq", re.IGNORECASE
)
_REFERENCE: Final = re.compile(
    r"reference|/api\b|api\.|commands?\.|changelog|history|release|licen[cs]e|copying|news", re.IGNORECASE
)
_SAYS: Final = re.compile(
    r"\b(?:is|are|was|means?|refers? to|stands? for|describes?|lets?|allows?|provides?)\b|[:—–]|是|指|表示|称为|用于"
)
_CELL: Final = " | "

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
        K.ITEM: 0.2, K.ROW: 0.2, K.LEAD: 0.15, K.SENTENCE: 0.1, K.CODE: -0.4, K.USAGE: -0.2, K.TITLE: -0.2,
    },
    Wants.ANYTHING: {
        K.LEAD: 0.2, K.USAGE: -0.2, K.ROW: -0.05, K.TITLE: -0.1,
    },
}  # fmt: skip

FEATURES: Final = (
    "own", "both", "leaf", "leaf_precision", "title", "score", "rank", "dense", "kind", "form", "amount", "short",
    "guide", "reference", "entry", "opening", "block", "lead", "first", "title_precision", "cosine",
)  # fmt: skip
WEIGHTS: dict[str, float] = {
    "own": 0.47, "both": 0.32, "leaf": 0.42, "leaf_precision": 0.35, "title": 0.15, "score": 0.55, "rank": 0.42,
    "dense": 0.05, "kind": 0.65, "form": 0.51, "amount": 0.41, "short": -0.38, "guide": 0.45, "reference": 0.0,
    "entry": 0.9, "block": 0.14, "lead": 0.27, "first": 0.1, "cosine": 0.35, "opening": 0.4,
    "title_precision": 0.2,
}  # fmt: skip


@dataclass(slots=True)
class Scored:
    """A unit with its signs and their weighted sum."""

    unit: Unit
    passage: Passage
    signs: dict[str, float]
    found: Bag
    score: float = 0.0
    cosine: float = 0.0

    def weigh(self) -> None:
        self.score = sum(WEIGHTS[name] * value for name, value in self.signs.items())


@dataclass(slots=True)
class Choice:
    """The units in falling order of score, and what they were judged by."""

    ranked: list[Scored]
    reading: Reading
    terms: list[Term]
    asked: Asked
    hits: int = 0
    embedded: int = 0
    pool: list[Scored] = field(default_factory=list)


async def choose(
    question: str, asked: Asked, terms: list[Term], reading: Reading, *, hits: int, vector: Vectors | None,
    embed: Embed | None, entries: frozenset[int] = frozenset(),
) -> Choice:  # fmt: skip
    """Rank the units. `hits` says how many of the passages were retrieved, best first; the others stand around them.

    `entries` are passages of a corpus's own introduction, preferred for a question that names no subject.
    """
    scored = await asyncio.to_thread(prescore, question, asked, terms, reading, hits, entries)
    pool = _diverse(scored)
    if embed is not None and vector is not None and pool:
        average = average_dense(reading.passages[:hits])
        await compare(pool[:AT_ONCE], vector, embed, average)
        best = max(one.score for one in pool[:AT_ONCE])
        # What is left is embedded only when a usual cosine could bring one of it to the top.
        if any(one.score + HOPE > best for one in pool[AT_ONCE:]):
            await compare(pool[AT_ONCE:], vector, embed, average)
    pool.sort(key=lambda one: -one.score)
    if asked.wants is Wants.STEPS:
        _first_step_first(pool, scored)
    rest = [one for one in scored if one not in pool]
    return Choice(pool + rest, reading, terms, asked, hits, sum(one.cosine > 0 for one in pool), pool)


def prescore(
    question: str, asked: Asked, terms: list[Term], reading: Reading, hits: int, entries: frozenset[int]
) -> list[Scored]:
    """All units with every sign but the cosine, best first."""
    found = list(units(reading, question))
    passages = _PassageSigns(reading.passages, hits, terms, entries, asked)
    headings = HeadingSigns(terms)
    scored: list[Scored] = []
    blocks: dict[int, Bag] = {}
    bagged = bags(unit.words for unit in found)
    for unit, words in zip(found, bagged, strict=True):
        blocks[unit.at] = blocks.get(unit.at, frozenset()) | words
    for unit, words in zip(found, bagged, strict=True):
        signs = passages.of(unit.place.passage) | headings.of(unit)
        path_bag = bag("\n".join((*unit.path, reading.passages[unit.place.passage].title)))
        # What two things have in common or not is said in a paragraph, rarely in one sentence of it.
        compared = asked.wants is Wants.COMPARISON and unit.kind in (UnitKind.LEAD, UnitKind.SENTENCE)
        signs["own"] = coverage(terms, blocks[unit.at] if compared else words)
        signs["both"] = coverage(terms, words | path_bag)
        signs["block"] = coverage(terms, path_bag | blocks[unit.at])
        signs["lead"] = signs["leaf"] * signs["leaf_precision"] * (unit.kind in (UnitKind.LEAD, UnitKind.TITLE))
        early = asked.wants in (Wants.STEPS, Wants.DEFINITION)
        signs["first"] = early / (1 + depth(reading, unit.at))
        signs["opening"] = signs["entry"] * (unit.place.block.start <= 400) * (unit.kind is UnitKind.LEAD)
        signs["form"] = _form(asked, unit)
        defines = unit.kind is UnitKind.ROW and signs["form"] == 1.0
        signs["kind"] = 0.4 if defines else PREFERRED[asked.wants].get(unit.kind, 0.0)
        signs["amount"] = _amount(asked, unit)
        signs["short"] = float(_is_short(unit))
        one = Scored(unit, reading.passages[unit.place.passage], signs, words)
        one.weigh()
        scored.append(one)
    return sorted(scored, key=lambda one: -one.score)


def _first_step_first(pool: list[Scored], scored: Sequence[Scored]) -> None:
    """Where commands of one section come close to each other, the first of them is where a reader begins."""
    best = pool[0] if pool else None
    if best is None or best.unit.kind is not UnitKind.CODE:
        return
    near = [
        one for one in scored
        if one.unit.kind is UnitKind.CODE and one.passage.doc_id == best.passage.doc_id
        and one.unit.path == best.unit.path
        and one.unit.start < best.unit.start and one.score - one.signs.get("cosine", 0.0) * WEIGHTS["cosine"]
        >= best.score - best.signs.get("cosine", 0.0) * WEIGHTS["cosine"] - FIRST_STEP
    ]  # fmt: skip
    if near:
        first = min(near, key=lambda one: one.unit.start)
        first.cosine, first.score = max(first.cosine, best.cosine), best.score
        if first in pool:
            pool.remove(first)
        pool.insert(0, first)


class _PassageSigns:
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
        wants_guide = self._asked.wants in (Wants.STEPS, Wants.DEFINITION, Wants.ANYTHING)
        return {
            "score": discount * hit.score / self._best,
            "rank": discount / (1 + 0.25 * lender),
            "dense": discount * dense / 2,
            "title": coverage(self._terms, bag(f"{passage.title}\n{name}")),
            "title_precision": precision(self._terms, passage.title),
            "guide": float(self._asked.wants is Wants.STEPS and _GUIDE.search(passage.locator) is not None),
            "reference": float(wants_guide and _REFERENCE.search(passage.locator) is not None),
            "entry": float(at in self._entries),
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
            }
        return self._known[path]


def depth(reading: Reading, at: int, most: int = 6) -> int:
    """How many blocks of its section stand before one, as far as they are known."""
    place, count = reading.places[at], 0
    while count < most and at and reading.document[at - 1] == reading.document[at]:
        at -= 1
        if reading.places[at].path != place.path or reading.places[at].block.kind is BlockKind.HEADING:
            break
        count += 1
    return count


def _form(asked: Asked, unit: Unit) -> float:
    """Whether a unit is worded as the answer would be: a definition begins with what it defines."""
    if asked.wants is not Wants.DEFINITION:
        return 0.0
    subject = asked.subject.casefold()
    text = unit.text.lstrip("-*•# \t")
    head = text[: len(subject) + 24].casefold()
    if unit.kind is UnitKind.ROW:
        cell = text.split(_CELL)[0].strip().casefold()
        cell = re.sub(r"^(?:the|an?) ", "", cell)
        whole = cell.startswith(subject) and not re.match(r"\w", cell[len(subject) :])
        return 1.0 if whole and len(cell) <= 3 * len(subject) + 60 else 0.0
    if subject not in head:
        return 0.0
    return 1.0 if _SAYS.search(text[: len(subject) + 40]) else 0.3


def _amount(asked: Asked, unit: Unit) -> float:
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


def _is_short(unit: Unit) -> bool:
    if unit.kind in (UnitKind.CODE, UnitKind.ROW, UnitKind.TITLE):
        return False
    return len(unit.text) < 8 if is_chinese(unit.text) else len(unit.text.split()) < 5


def _diverse(scored: Iterable[Scored]) -> list[Scored]:
    """The first few units, not too many of one section or document, and none that says what one before says."""
    pool: list[Scored] = []
    sections: dict[object, int] = {}
    documents: dict[object, int] = {}
    for one in scored:
        section = (one.passage.doc_id, one.unit.path)
        if sections.get(section, 0) >= PER_SECTION or documents.get(one.passage.doc_id, 0) >= PER_DOCUMENT:
            continue
        if any(alike(one, other) for other in pool):
            continue
        pool.append(one)
        sections[section] = sections.get(section, 0) + 1
        documents[one.passage.doc_id] = documents.get(one.passage.doc_id, 0) + 1
        if len(pool) == POOL:
            break
    return pool


def alike(one: Scored, other: Scored) -> bool:
    """Whether two units say the same, in other documents or versions."""
    if not one.found or not other.found:
        return False
    common = len(one.found & other.found)
    return (
        common / min(len(one.found), len(other.found)) > 0.95 and common / max(len(one.found), len(other.found)) > 0.5
    ) or (common / len(one.found | other.found) > ALIKE)


def embedded_text(unit: Unit) -> str:
    """What the embedder compares: the last headings, then the unit, cut."""
    text = BOX.sub(" ", unit.words) if unit.kind is UnitKind.USAGE else unit.words
    limit = EMBEDDED_CHARS // 3 if is_chinese(text) else EMBEDDED_CHARS
    return f"{' > '.join(unit.path[-2:])}\n{' '.join(text.split())[:limit]}"


def average_dense(hits: Sequence[Passage]) -> float:
    """The cosine of an average hit: what a text that is merely near scores."""
    dense = [hit.dense for hit in hits if hit.dense is not None]
    return mean(dense) if dense else 0.8


async def compare(pool: Sequence[Scored], vector: Vectors, embed: Embed, average: float) -> None:
    """Add the cosine of each unit, in parts of what separates hits from each other."""
    vectors = await embed([embedded_text(one.unit) for one in pool])
    for one, value in zip(pool, vectors @ vector, strict=True):
        one.cosine = float(value)
        one.signs["cosine"] = max(-2.0, min(3.0, (one.cosine - average) / COSINE_STEP))
        one.weigh()
