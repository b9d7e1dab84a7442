"""Fit the constants of the extractive answerer, and measure them on questions that the fit has not seen.

Two fits, one after the other: a softmax over the units of each question puts those that hold the answer first, then a
logistic regression over the signs of the choice says whether the first one answers, one for text with headings and one
for text without. Thresholds are read from that. Labelled sets alone fit the regression of text without headings only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers.asked import Asked
from benchmarks.report import Cell, Progress, Table
from rag_core.answering import Outcome, choosing, fitted
from rag_core.answering.asking import Wants
from rag_core.answering.choosing import Choice, diverse, steps_first
from rag_core.answering.decision import signs_of
from rag_core.answering.excerpts import Extract, excerpt_of, suits
from rag_core.answering.extractive import Weighed, shown, weigh
from rag_core.answering.fitted import Decision

Array = NDArray[np.float64]

FOLDS = 5
POOL, POOL_WITHOUT = 30, 12
"""Units that are compared for the fit, of a question with and without an answer."""
NEAR_PRIOR = 0.02
"""How strongly the weights of the order are held near those that are shipped."""
SHARPNESS = 4.0
STEPS = 400
RIDGE = 8.0
WRONG_SHARE = 0.2
"""Of the questions on text with headings that are answered, so many may be wrong by pattern. A reader finds half of
those right: another page says it too, in other words."""
FALSE_SHARE = 0.1
"""Of the questions on text without headings that nothing answers, so many may be answered."""
LOST_SHARE = 0.01
"""Of the questions whose closest places hold the answer, so many may be answered with nothing found."""
_ORDER = tuple(fitted.RANKING)
_SIGNS = tuple(fitted.HEADED.evidence)


@dataclass(slots=True)
class Constants:
    """What `rag_core.answering.fitted` holds."""

    ranking: dict[str, float]
    headed: Decision
    prose: Decision

    @classmethod
    def shipped(cls) -> Constants:
        return cls(dict(fitted.RANKING), copy(fitted.HEADED), copy(fitted.PROSE))

    def of(self, asked: Asked) -> Decision:
        return self.prose if asked.prose else self.headed


@dataclass(slots=True)
class Chosen:
    """What came of one question with some order of units."""

    asked: Asked
    signs: Array
    vague: bool
    first: bool
    """Whether the first place of an answer holds what is expected."""
    any: bool
    """Whether any of its places does."""
    closest: int | None
    """The first of the closest places that does."""
    sure: bool = True
    """Whether it may be answered with confidence, whatever its signs say."""


def fit(questions: Sequence[Asked], progress: Progress) -> tuple[Constants, list[Table]]:
    """The constants fitted on all questions, and tables of what constants fitted on four fifths do on the rest."""
    folds = _folds(questions)
    ordered = not all(one.prose for one in questions)
    read = []
    for number, one in enumerate(questions):
        progress(number, len(questions))
        pool_size = choosing.POOL if not ordered else POOL if one.holds else POOL_WITHOUT
        read.append(asyncio.run(weigh(one.question(), pool_size=pool_size)))
    units = [_units(one, weighed.choice) if ordered else None for one, weighed in zip(questions, read, strict=True)]
    unseen: list[tuple[Chosen, float]] = []
    for fold in range(FOLDS):
        constants, chosen = _fitted(questions, read, units, [other != fold for other in folds])
        unseen += [
            (one, _probability(one, constants.of(one.asked)))
            for one, own in zip(chosen, folds, strict=True)
            if own == fold and one is not None
        ]
    constants, _ = _fitted(questions, read, units, [True] * len(questions))
    _set_thresholds(unseen, constants)
    grades = Counter(
        (one.asked.kind if one.asked.holds else "without an answer", _grade(one, probability, constants.of(one.asked)))
        for one, probability in unseen
    )
    return constants, [_table(grades)]


def written(constants: Constants) -> str:
    """The module `rag_core.answering.fitted` with these constants."""
    return _MODULE.format(
        ranking=_literal(constants.ranking), headed=_decision(constants.headed), prose=_decision(constants.prose)
    )


def write(constants: Constants) -> Path:
    """Put the constants into the source checkout."""
    path = Path(fitted.__file__)
    path.write_text(written(constants), "utf-8")
    return path


_MODULE = '''"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

from dataclasses import dataclass

RANKING = {{
{ranking}
}}  # fmt: skip
"""What each sign of a unit is worth in the order of units."""


@dataclass(slots=True)
class Decision:
    """Whether the best unit answers. `evidence` says what each sign of the choice is worth in the log odds."""

    evidence: dict[str, float]
    bias: float
    answer_from: float
    """Probability from which it is given as the answer."""
    closest_from: float
    """Probability from which the closest passages are shown."""


HEADED = {headed}
"""For text with headings."""
PROSE = {prose}
"""For text without headings, where a sentence is either near the question or not."""
'''


def _literal(weights: dict[str, float], indent: str = "    ") -> str:
    return "\n".join(f'{indent}"{name}": {round(value, 2)},' for name, value in weights.items())


def _decision(known: Decision) -> str:
    lines = (
        "Decision(",
        "    evidence={",
        _literal(known.evidence, "        "),
        "    },",
        f"    bias={round(known.bias, 2)},",
        f"    answer_from={known.answer_from},",
        f"    closest_from={known.closest_from},",
        ")",
    )
    return "\n".join(lines)


def _fitted(
    questions: Sequence[Asked], read: Sequence[Weighed], units: Sequence[tuple[Array, Array] | None],
    used: Sequence[bool],
) -> tuple[Constants, list[Chosen | None]]:  # fmt: skip
    constants = Constants.shipped()
    given = [one for one, use in zip(units, used, strict=True) if use and one is not None]
    if given:
        constants.ranking = dict(zip(_ORDER, map(float, _fit_order(given)), strict=True))
    with _order_of(constants):
        chosen = [_chosen(one, weighed) for one, weighed in zip(questions, read, strict=True)]
    for prose in (False, True):
        learnt = [
            one for one, use in zip(chosen, used, strict=True) if use and one is not None and one.asked.prose == prose
        ]
        if learnt:
            decision = constants.of(learnt[0].asked)
            weights, decision.bias = _fit_evidence(learnt)
            decision.evidence = dict(zip(_SIGNS, map(float, weights), strict=True))
    return constants, chosen


# --------------------------------------------------------------------------------------------------------------------
# The order of units.


def _units(asked: Asked, choice: Choice) -> tuple[Array, Array] | None:
    """The signs of the units of a question, and which of them show the answer; `None` when none does."""
    if asked.holds is None or not choice.pool:
        return None
    rows = np.array([[one.signs.get(name, 0.0) for name in _ORDER] for one in choice.pool])
    right = np.array([_shows(asked, excerpt_of(choice, one), source=True) for one in choice.pool])
    return (rows, right.astype(np.float64)) if right.any() and not right.all() else None


def _fit_order(questions: Iterable[tuple[Array, Array]]) -> Array:
    """Maximise the share that units with the answer have in a softmax, by Adam. A weight keeps the sign it has."""
    given = list(questions)
    prior = np.array([fitted.RANKING[name] for name in _ORDER])
    weights, mean, square = prior.copy(), np.zeros_like(prior), np.zeros_like(prior)
    for step in range(1, STEPS + 1):
        slope = NEAR_PRIOR * (weights - prior)
        for rows, right in given:
            scores = SHARPNESS * (rows @ weights)
            shares = np.exp(scores - scores.max())
            wanted = shares * right
            slope -= SHARPNESS * (wanted / max(wanted.sum(), 1e-12) - shares / shares.sum()) @ rows / len(given)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope * slope
        weights -= 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        weights = np.where(prior >= 0, np.maximum(weights, 0), np.minimum(weights, 0))
    return weights


@contextmanager
def _order_of(constants: Constants) -> Iterator[None]:
    before = dict(fitted.RANKING)
    fitted.RANKING.update(constants.ranking)
    try:
        yield
    finally:
        fitted.RANKING.update(before)


# --------------------------------------------------------------------------------------------------------------------
# Whether the first unit answers.


def _chosen(asked: Asked, weighed: Weighed) -> Chosen | None:
    if not weighed.choice.ranked:
        return None
    choice = _ordered(weighed.choice)
    signs = signs_of(choice)
    places = shown(choice, Outcome.ANSWERED)
    sure = bool(places) and suits(choice, places[0]) and not weighed.vague and not choice.ranked[0].signs["short"]
    answer = [_shows(asked, one) for one in places]
    closest = [_shows(asked, one) for one in shown(choice, Outcome.CLOSEST_PASSAGES)]
    place = next((at for at, right in enumerate(closest) if right), None)
    row = np.array([signs[name] for name in _SIGNS])
    return Chosen(asked, row, weighed.vague, bool(answer and answer[0]), any(answer), place, sure)


def _ordered(choice: Choice) -> Choice:
    """The choice as the order of now makes it: first without cosines, then with those of the units compared."""
    for one in choice.ranked:
        cosine = one.signs.pop("cosine", None)
        one.weigh()
        if cosine is not None:
            one.signs["cosine"] = cosine
    first = diverse(sorted(choice.ranked, key=lambda one: -one.score), choosing.POOL)
    for one in first:
        one.weigh()
    first.sort(key=lambda one: -one.score)
    chosen = set(map(id, first))
    rest = sorted((one for one in choice.ranked if id(one) not in chosen), key=lambda one: -one.score)
    if choice.asked.wants is Wants.STEPS and first:
        steps_first(first, [*first, *rest], choice.terms)
        rest = [one for one in rest if one not in first]
    return replace(choice, ranked=first + rest, pool=first)


def _shows(asked: Asked, extract: Extract, *, source: bool = False) -> bool:
    """Whether a place shows what is expected; with `source` only when it is the named one."""
    if asked.holds is None or (source and not asked.is_from(extract.locator)):
        return False
    return asked.holds("\n".join(f"{piece.header}\n{piece.text}" for piece in extract.pieces))


def _fit_evidence(chosen: Sequence[Chosen]) -> tuple[Array, float]:
    """Logistic regression with a ridge over standardised signs, by Newton's method."""
    rows = np.array([one.signs for one in chosen])
    # Of text without headings up to three sentences are cited together.
    right = np.array([float(one.any if one.asked.prose else one.first) for one in chosen])
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    given = np.hstack([(rows - middle) / spread, np.ones((len(rows), 1))])
    ridge = np.diag([RIDGE] * rows.shape[1] + [0.0])
    weights = np.zeros(given.shape[1])
    for _ in range(50):
        sure = 1 / (1 + np.exp(-(given @ weights)))
        slope = given.T @ (sure - right) + ridge @ weights
        curve = (given * (sure * (1 - sure))[:, None]).T @ given + ridge
        weights -= np.linalg.solve(curve, slope)
    own = weights[:-1] / spread
    return own, float(weights[-1] - own @ middle)


def _set_thresholds(unseen: Sequence[tuple[Chosen, float]], constants: Constants) -> None:
    """Read the thresholds from probabilities of questions that the fit had not seen."""
    headed = [(one, p) for one, p in unseen if not one.asked.prose and not one.vague]
    prose = [(one, p) for one, p in unseen if one.asked.prose]
    if headed:
        constants.headed.answer_from = _first_step(lambda at: _wrong_share(headed, at) <= WRONG_SHARE)
        constants.headed.closest_from = _closest_from(headed)
    if prose:
        constants.prose.answer_from = _first_step(lambda at: _false_share(prose, at) <= FALSE_SHARE)
        constants.prose.closest_from = _closest_from(prose)


def _first_step(fits: Callable[[float], bool]) -> float:
    steps = [round(0.01 * step, 2) for step in range(1, 97)]
    return next((at for at in steps if fits(at)), steps[-1])


def _closest_from(chosen: Sequence[tuple[Chosen, float]]) -> float:
    """The probability below which `LOST_SHARE` of the questions lies whose closest places hold the answer."""
    kept = sorted(p for one, p in chosen if one.closest is not None and one.closest < 2)
    return round(kept[int(LOST_SHARE * len(kept))], 3) if kept else 0.0


def _wrong_share(chosen: Sequence[tuple[Chosen, float]], at: float) -> float:
    answered = [one for one, probability in chosen if probability >= at and one.sure]
    return sum(not one.any for one in answered) / max(len(answered), 1)


def _false_share(chosen: Sequence[tuple[Chosen, float]], at: float) -> float:
    """The share of the questions without an answer that are answered."""
    without = [probability for one, probability in chosen if one.asked.holds is None]
    return sum(probability >= at for probability in without) / max(len(without), 1)


def _probability(one: Chosen, decision: Decision) -> float:
    weights = np.array([decision.evidence[name] for name in _SIGNS])
    return float(1 / (1 + np.exp(-(one.signs @ weights + decision.bias))))


def _grade(one: Chosen, probability: float, decision: Decision) -> str:
    if probability >= decision.answer_from and one.sure:
        return "right" if one.first else "partly" if one.any else "wrong"
    if one.asked.holds is None:
        return "right"
    if probability < decision.closest_from and not one.vague:
        return "abstained"
    if one.closest is None:
        return "missed"
    return "closest" if one.closest < 2 else "partly"


GRADES = ("right", "closest", "partly", "missed", "abstained", "wrong")


def _table(grades: Counter[tuple[str, str]]) -> Table:
    kinds = sorted({kind for kind, _ in grades})
    counts = {kind: [grades[kind, known] for known in GRADES] for kind in kinds}
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows: list[tuple[Cell, ...]] = [(kind, sum(row), *row) for kind, row in counts.items()]
    return Table("Questions that the fit has not seen", ("kind", "questions", *GRADES), tuple(rows))


def _folds(questions: Sequence[Asked]) -> list[int]:
    """The same fold for the same question, of whatever corpus it is asked."""
    numbers = {text: at for at, text in enumerate(dict.fromkeys(one.text for one in questions))}
    order = np.random.RandomState(0).permutation(len(numbers))
    return [int(order[numbers[one.text]]) % FOLDS for one in questions]
