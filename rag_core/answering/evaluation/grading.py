"""Grades of answers, and the figures of a set of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

from rag_core.answering.evaluation.metrics import ndcg, recall
from rag_core.answering.evaluation.questions import EvaluationQuestion
from rag_core.errors import InvalidInput, Reason

CLOSEST_THAT_COUNT = 2
"""Places of the best matches that count: a reader reads no further when no answer is claimed."""


class Grade(StrEnum):
    """Grade of an answered question."""

    RIGHT = "right"
    """Answered with what was expected first; or not answered, and it has no answer."""
    CLOSEST = "closest"
    """The closest passages hold it, among the first two."""
    PARTLY = "partly"
    """It is there, in a later place."""
    MISSED = "missed"
    """The closest passages do not hold it."""
    ABSTAINED = "abstained"
    """There is an answer, and none was given."""
    WRONG = "wrong"
    """Answered with something else; also a question that has no answer."""
    FAILED = "failed"
    """The answer broke off."""
    NOT_GRADED = "not graded"
    """Nothing is expected of the answer: only retrieval counts."""


SATISFIED = frozenset({Grade.RIGHT, Grade.CLOSEST})
UNSATISFIED = frozenset(Grade) - SATISFIED - {Grade.NOT_GRADED}


class Shown(StrEnum):
    """The claim that an answer makes about itself."""

    ANSWERED = "answered"
    CLOSEST = "closest"
    NOTHING = "nothing"
    FAILED = "failed"


def grade(question: EvaluationQuestion, shown: Shown, places: Sequence[str]) -> Grade:
    """Grade an answer by the places that it shows, each as the text that it quotes and shows."""
    if shown is Shown.FAILED:
        return Grade.FAILED
    if not question.answerable:
        return Grade.WRONG if shown is Shown.ANSWERED else Grade.RIGHT
    if not (question.expected or question.patterns):
        return Grade.NOT_GRADED
    if shown is Shown.NOTHING:
        return Grade.ABSTAINED
    at = next((rank for rank, place in enumerate(places) if question.is_held_by(place)), None)
    if shown is Shown.CLOSEST:
        if at is None:
            return Grade.MISSED
        return Grade.CLOSEST if at < CLOSEST_THAT_COUNT else Grade.PARTLY
    if at is None:
        return Grade.RIGHT if question.is_held_by("\n".join(places)) else Grade.WRONG
    return Grade.PARTLY if at else Grade.RIGHT


class ShownExcerpt(Protocol):
    """An excerpt of an answer, as an answerer makes it or as it comes over the wire."""

    @property
    def heading_path(self) -> Sequence[str]: ...
    @property
    def text(self) -> str: ...
    @property
    def markdown(self) -> str: ...
    @property
    def citations(self) -> Sequence[int]: ...


def places_of(text: str, excerpts: Iterable[ShownExcerpt], quotes: Mapping[int, str]) -> list[str]:
    """The text of each place that an answer shows, with what it quotes; an answer without excerpts is one place."""
    return [
        "\n".join([*one.heading_path, one.text, one.markdown, *(quotes.get(number, "") for number in one.citations)])
        for one in excerpts
    ] or ["\n".join([text, *quotes.values()])]


@dataclass(frozen=True, slots=True)
class Result:
    """One question of a run. Recall and nDCG are `None` where no source is named.

    `id` is the question's name in the file, or its text. `answer` is what was shown, and `doc_ids` are the documents
    that it quotes.
    """

    question: str
    tags: tuple[str, ...]
    grade: Grade
    recall: float | None
    ndcg: float | None
    id: str = ""
    answer: str = ""
    doc_ids: tuple[uuid.UUID, ...] = ()

    @property
    def key(self) -> str:
        return self.id or self.question


def retrieval(question: EvaluationQuestion, places: Iterable[str], cut: int) -> tuple[float | None, float | None]:
    """Recall and nDCG of the documents found, each counted once; `None` without a named source."""
    if not question.sources:
        return None, None
    ranking = list(dict.fromkeys(map(question.label, places)))
    gains = dict.fromkeys(question.sources, 1)
    return recall(ranking, gains, cut), ndcg(ranking, gains)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of some questions; shares of those whose answer was graded, and means of those with a source."""

    questions: int
    graded: int
    satisfied: float
    wrong: float
    grades: Mapping[str, int]
    recall: float | None
    ndcg: float | None


def figures(results: Sequence[Result]) -> Figures:
    """Count the grades and average the rest."""
    grades = [one.grade for one in results]
    counted = {known.value: grades.count(known) for known in Grade}
    graded = len(results) - counted[Grade.NOT_GRADED]
    return Figures(
        len(results),
        graded,
        sum(one in SATISFIED for one in grades) / max(graded, 1),
        counted[Grade.WRONG] / max(graded, 1),
        counted,
        _mean([one.recall for one in results if one.recall is not None]),
        _mean([one.ndcg for one in results if one.ndcg is not None]),
    )


def by_tag(results: Sequence[Result]) -> dict[str, Figures]:
    """The figures of each tag, in alphabetical order."""
    tags = sorted({tag for one in results for tag in one.tags})
    return {tag: figures([one for one in results if tag in one.tags]) for tag in tags}


def as_dict(results: Sequence[Result]) -> dict[str, Any]:
    """A run as it is kept and printed."""
    tags = {tag: asdict(found) for tag, found in by_tag(results).items()}
    shown = [{**asdict(one), "doc_ids": list(map(str, one.doc_ids))} for one in results]
    return {"figures": asdict(figures(results)), "tags": tags, "results": shown}


LIMITED = ("satisfied", "wrong", "recall", "ndcg")
"""The figures that may have a limit."""


def parse_limit(text: str) -> tuple[str, float]:
    """`name=number`. Raises `InvalidInput` (`FIELD_INVALID`)."""
    name, _, number = text.partition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = -1.0
    if name not in LIMITED or not 0 <= limit <= 1:
        raise InvalidInput(Reason.FIELD_INVALID, f"{text}: write NAME=SHARE, 0 to 1, with one of {', '.join(LIMITED)}")
    return name, limit


def missed_limits(found: Figures, at_least: Sequence[str], at_most: Sequence[str]) -> list[str]:
    """The limits that the figures do not meet, as sentences. A figure that could not be measured meets none."""
    missed = []
    for texts, sign in ((at_least, 1), (at_most, -1)):
        for name, limit in map(parse_limit, texts):
            value = getattr(found, name)
            if value is None or sign * (value - limit) < 0:
                shown = "not measured" if value is None else f"{value:.3f}"
                missed.append(f"{name} is {shown}, {'at least' if sign > 0 else 'at most'} {limit:g} is wanted")
    return missed


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
