"""Compare two runs over the same questions, and test whether the later one is worse beyond chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import comb
from typing import Any

from rag_core.answering.evaluation.grading import SATISFIED, Grade, Result

LEVEL = 0.05
"""Chance of calling a run worse when it only differs: with fewer than five questions lost nothing is."""

_ORDER = (
    Grade.FAILED,
    Grade.WRONG,
    Grade.MISSED,
    Grade.ABSTAINED,
    Grade.PARTLY,
    Grade.NOT_GRADED,
    Grade.CLOSEST,
    Grade.RIGHT,
)
"""From worst to best for the person who asked."""


class Direction(StrEnum):
    """Change of a question between two runs."""

    BETTER = "better"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Change:
    """A question with another grade, or another rank of its source, than before."""

    question: str
    direction: Direction
    before: Grade
    now: Grade
    answer_before: str
    answer_now: str
    ndcg_before: float | None = None
    ndcg_now: float | None = None


def changes(before: Sequence[Result], now: Sequence[Result]) -> list[Change]:
    """The questions that changed, the worse ones first."""
    known = {one.key: one for one in before}
    found = []
    for one in now:
        old = known.get(one.key)
        if old is not None and (moved := _direction(old, one)):
            texts = (old.answer, one.answer)
            found.append(Change(one.question, moved, old.grade, one.grade, *texts, old.ndcg, one.ndcg))
    return sorted(found, key=lambda change: change.direction is Direction.BETTER)


def _direction(old: Result, new: Result) -> Direction | None:
    if old.grade is not new.grade:
        better = _ORDER.index(new.grade) > _ORDER.index(old.grade)
        return Direction.BETTER if better else Direction.WORSE
    if old.grade is not Grade.NOT_GRADED or old.ndcg is None or new.ndcg is None or old.ndcg == new.ndcg:
        return None
    return Direction.BETTER if new.ndcg > old.ndcg else Direction.WORSE


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of both runs over the questions that they share, as its mean.

    `lost` and `gained` count questions; `chance` is how likely so many losses are when nothing became worse (sign test,
    one-sided).
    """

    name: str
    questions: int
    before: float
    now: float
    lost: int
    gained: int
    chance: float

    def is_worse(self, tolerance: float) -> bool:
        """True when it fell by more than `tolerance`, and by more than chance explains."""
        return self.before - self.now > tolerance and self.chance < LEVEL

    def __str__(self) -> str:
        return (
            f"{self.name.replace('_', ' ')} {self.before:.3f} -> {self.now:.3f} "
            f"({self.lost} lost, {self.gained} gained of {self.questions}; p {self.chance:.3f})"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs. `not_wrong` stands for the share of wrong answers, turned so that more is better."""

    measures: tuple[Measure, ...]
    tolerance: float

    @property
    def worse(self) -> tuple[Measure, ...]:
        return tuple(measure for measure in self.measures if measure.is_worse(self.tolerance))

    def as_figures(self) -> dict[str, Any]:
        """Its numbers, by measure."""
        return {measure.name: asdict(measure) for measure in self.measures}

    def __str__(self) -> str:
        return ", ".join(map(str, self.worse or self.measures)) or "no question in common"


def compare(before: Sequence[Result], now: Sequence[Result], tolerance: float) -> Comparison:
    """Compare the questions that both runs asked: answers by grade, retrieval by recall."""
    known = {one.key: one for one in before}
    pairs = [(known[one.key], one) for one in now if one.key in known]
    graded = [pair for pair in pairs if Grade.NOT_GRADED not in (pair[0].grade, pair[1].grade)]
    made = (
        _measure("satisfied", graded, lambda one: float(one.grade in SATISFIED)),
        _measure("not_wrong", graded, lambda one: float(one.grade is not Grade.WRONG)),
        _measure("recall", pairs, lambda one: one.recall),
    )
    return Comparison(tuple(measure for measure in made if measure.questions), tolerance)


def _measure(name: str, pairs: Sequence[tuple[Result, Result]], value: Callable[[Result], float | None]) -> Measure:
    both = [(value(old), value(new)) for old, new in pairs]
    known = [(old, new) for old, new in both if old is not None and new is not None]
    count = max(1, len(known))
    lost = sum(new < old for old, new in known)
    gained = sum(new > old for old, new in known)
    means = (sum(old for old, _ in known) / count, sum(new for _, new in known) / count)
    return Measure(name, len(known), *means, lost, gained, chance_of(lost, gained))


def chance_of(lost: int, gained: int) -> float:
    """The chance of at least `lost` losses among the changed questions when a change goes either way."""
    changed = lost + gained
    return sum(comb(changed, count) for count in range(lost, changed + 1)) / float(2**changed)
