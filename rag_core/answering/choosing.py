"""Which unit answers. Words and headings first, for all units; then the embedder's cosine for the best few.

A unit costs about 10 ms of a core to embed, so ten are compared at most, cut short, and the last four only when they
could win. The weights were fitted over questions of all kinds (docs/retrieval-answers.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Final

from rag_core.answering.asking import Asked, Wants
from rag_core.answering.composing import in_thread
from rag_core.answering.fitted import RANKING
from rag_core.answering.passages import Passage, Reading
from rag_core.answering.signs import HeadingSigns, PassageSigns, amount, depth, form, is_short, preference
from rag_core.answering.terms import Bag, Term, bag, bags, coverage
from rag_core.answering.units import BOX, Unit, UnitKind, is_chinese, units
from rag_core.content.embedding import Vectors

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
NAMED: Final = 0.5
"""Part of the question's words from which a heading names its task."""
ALIKE: Final = 0.8
"""Share of common words from which two texts say the same."""


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
        self.score = sum(RANKING[name] * value for name, value in self.signs.items() if name in RANKING)


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
    embed: Embed | None, entries: frozenset[int] = frozenset(), pool_size: int = POOL,
) -> Choice:  # fmt: skip
    """Rank the units. `hits` says how many of the passages were retrieved, best first; the others stand around them.

    `entries` are passages of a corpus's own introduction, preferred for a question that names no subject. A larger
    `pool_size` compares more units, all of them, for the fit.
    """
    scored = await in_thread(prescore, question, asked, terms, reading, hits, entries)
    pool = diverse(scored, pool_size)
    if embed is not None and vector is not None and pool:
        average = average_dense(reading.passages[:hits])
        await compare(pool[:AT_ONCE], vector, embed, average)
        best = max(one.score for one in pool[:AT_ONCE])
        # What is left is embedded only when a usual cosine could bring one of it to the top.
        if pool_size > POOL or any(one.score + HOPE > best for one in pool[AT_ONCE:]):
            await compare(pool[AT_ONCE:], vector, embed, average)
    pool.sort(key=lambda one: -one.score)
    if asked.wants is Wants.STEPS and pool:
        steps_first(pool, scored, terms)
    rest = [one for one in scored if one not in pool]
    return Choice(pool + rest, reading, terms, asked, hits, sum(one.cosine > 0 for one in pool), pool)


def prescore(
    question: str, asked: Asked, terms: list[Term], reading: Reading, hits: int, entries: frozenset[int]
) -> list[Scored]:
    """All units with every sign but the cosine, best first."""
    found = list(units(reading, question))
    passages = PassageSigns(reading.passages, hits, terms, entries, asked)
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
        signs["form"] = form(asked, unit)
        signs["kind"] = preference(asked, unit, signs, (*unit.path[-1:], reading.passages[unit.place.passage].title))
        signs["amount"] = amount(asked, unit)
        signs["short"] = float(is_short(unit, reading))
        one = Scored(unit, reading.passages[unit.place.passage], signs, words)
        one.weigh()
        scored.append(one)
    return sorted(scored, key=lambda one: -one.score)


def steps_first(pool: list[Scored], scored: Sequence[Scored], terms: list[Term]) -> None:
    """Put first where a reader of a how-to begins: the section that names the task, and its first command."""
    best = pool[0]
    task = _named_task(best, scored, terms)
    if task is not None:
        _move_first(pool, task, best.score)
        best = task
    if best.unit.kind is not UnitKind.CODE:
        return
    near = [
        one for one in scored
        if one.unit.kind is UnitKind.CODE and one.passage.doc_id == best.passage.doc_id
        and one.unit.path == best.unit.path
        and one.unit.start < best.unit.start and _without_cosine(one) >= _without_cosine(best) - FIRST_STEP
    ]  # fmt: skip
    if near:
        first = min(near, key=lambda one: one.unit.start)
        first.cosine = max(first.cosine, best.cosine)
        _move_first(pool, first, best.score)


def _named_task(best: Scored, scored: Sequence[Scored], terms: list[Term]) -> Scored | None:
    """The best unit of a section beside the best one's, when its heading has most of the question and that of the best
    unit nothing: under "Back up and restore" a backup is not made by what "Restore" says."""
    path = best.unit.path
    if not path or coverage(terms, bag(path[-1])):
        return None
    beside = [
        one for one in scored
        if one.passage.doc_id == best.passage.doc_id and one.unit.path[:-1] == path[:-1] and one.unit.path
        and not one.signs["short"] and coverage(terms, bag(one.unit.path[-1])) >= NAMED
    ]  # fmt: skip
    return max(beside, key=_without_cosine, default=None)


def _without_cosine(one: Scored) -> float:
    return one.score - one.signs.get("cosine", 0.0) * RANKING["cosine"]


def _move_first(pool: list[Scored], one: Scored, score: float) -> None:
    one.score = score
    if one in pool:
        pool.remove(one)
    pool.insert(0, one)


def diverse(scored: Iterable[Scored], size: int) -> list[Scored]:
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
        if len(pool) == size:
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
