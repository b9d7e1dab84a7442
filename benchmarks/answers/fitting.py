"""Fit the constants of the extractive answerer, and measure them on questions that the fit has not seen.

Two fits, one after the other: a softmax over the units of each question puts those that hold the answer first, then a
logistic regression over the signs of the choice says whether the first one answers. Thresholds are read from that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers.asked import Asked
from benchmarks.report import Cell, Progress, Table
from rag_core.answering import Outcome, choosing, fitted
from rag_core.answering.asking import Wants
from rag_core.answering.choosing import Choice, diverse, first_step_first
from rag_core.answering.decision import signs_of
from rag_core.answering.excerpts import Extract, excerpt_of
from rag_core.answering.extractive import Weighed, shown, weigh

Array = NDArray[np.float64]

FOLDS = 5
POOL, POOL_WITHOUT = 30, 12
"""Units that are compared for the fit, of a question with and without an answer."""
NEAR_PRIOR = 0.02
"""How strongly the weights of the order are held near those that are shipped."""
SHARPNESS = 4.0
STEPS = 400
RIDGE = 8.0
WRONG_SHARE = 0.26
"""Of the questions on text with headings that are answered, so many may be wrong by pattern. A reader finds half of
those right: another page says it too, in other words."""
LOST_SHARE = 0.01
"""Of the questions whose closest places hold the answer, so many may be answered with nothing found."""
_ORDER = tuple(fitted.RANKING)
_SIGNS = tuple(fitted.EVIDENCE)


@dataclass(slots=True)
class Constants:
    """What `rag_core.answering.fitted` holds."""

    ranking: dict[str, float]
    evidence: dict[str, float]
    bias: float
    answer_from: float
    prose_from: float
    closest_from: float

    @classmethod
    def shipped(cls) -> Constants:
        return cls(
            dict(fitted.RANKING), dict(fitted.EVIDENCE), fitted.BIAS, fitted.ANSWER_FROM, fitted.PROSE_FROM,
            fitted.CLOSEST_FROM,
        )  # fmt: skip


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


def fit(questions: Sequence[Asked], progress: Progress) -> tuple[Constants, list[Table]]:
    """The constants fitted on all questions, and tables of what constants fitted on four fifths do on the rest."""
    folds = _folds(questions)
    read = []
    for number, one in enumerate(questions):
        progress(number, len(questions))
        read.append(asyncio.run(weigh(one.question(), pool_size=POOL if one.holds else POOL_WITHOUT)))
    units = [_units(one, weighed.choice) for one, weighed in zip(questions, read, strict=True)]
    unseen: list[tuple[Chosen, float]] = []
    for fold in range(FOLDS):
        constants, chosen = _fitted(questions, read, units, [other != fold for other in folds])
        unseen += [
            (one, _probability(one, constants))
            for one, own in zip(chosen, folds, strict=True)
            if own == fold and one is not None
        ]
    constants, _ = _fitted(questions, read, units, [True] * len(questions))
    _set_thresholds(unseen, constants)
    grades = Counter(
        (one.asked.kind if one.asked.holds else "without an answer", _grade(one, probability, constants))
        for one, probability in unseen
    )
    return constants, [_table(grades)]


def written(constants: Constants) -> str:
    """The module `rag_core.answering.fitted` with these constants."""
    return _MODULE.format(
        ranking=_literal(constants.ranking), evidence=_literal(constants.evidence), bias=round(constants.bias, 2),
        answer_from=constants.answer_from, prose_from=constants.prose_from, closest_from=constants.closest_from,
    )  # fmt: skip


def write(constants: Constants) -> Path:
    """Put the constants into the source checkout."""
    path = Path(fitted.__file__)
    path.write_text(written(constants), "utf-8")
    return path


_MODULE = '''"""The constants that `rag bench answers --fit` finds (docs/retrieval-answers.md says on what)."""

from __future__ import annotations

RANKING = {{
{ranking}
}}  # fmt: skip
"""What each sign of a unit is worth in the order of units."""
EVIDENCE = {{
{evidence}
}}  # fmt: skip
"""What each sign of the choice is worth in the log odds that the best unit answers."""
BIAS = {bias}
ANSWER_FROM = {answer_from}
"""Probability from which text with headings is given as the answer."""
PROSE_FROM = {prose_from}
"""The same for text without headings, where probabilities lie further apart."""
CLOSEST_FROM = {closest_from}
"""Probability from which the closest passages are shown."""
'''


def _literal(weights: dict[str, float]) -> str:
    return "\n".join(f'    "{name}": {round(value, 2)},' for name, value in weights.items())


def _fitted(
    questions: Sequence[Asked], read: Sequence[Weighed], units: Sequence[tuple[Array, Array] | None],
    used: Sequence[bool],
) -> tuple[Constants, list[Chosen | None]]:  # fmt: skip
    ranking = _fit_order([one for one, use in zip(units, used, strict=True) if use and one is not None])
    constants = Constants.shipped()
    constants.ranking = dict(zip(_ORDER, map(float, ranking), strict=True))
    with _order_of(constants):
        chosen = [_chosen(one, weighed) for one, weighed in zip(questions, read, strict=True)]
    learnt = [one for one, use in zip(chosen, used, strict=True) if use and one is not None]
    weights, constants.bias = _fit_evidence(learnt)
    constants.evidence = dict(zip(_SIGNS, map(float, weights), strict=True))
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
    answer = [_shows(asked, one) for one in shown(choice, Outcome.ANSWERED)]
    closest = [_shows(asked, one) for one in shown(choice, Outcome.CLOSEST_PASSAGES)]
    place = next((at for at, right in enumerate(closest) if right), None)
    row = np.array([signs[name] for name in _SIGNS])
    return Chosen(asked, row, weighed.vague, bool(answer and answer[0]), any(answer), place)


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
    if choice.asked.wants is Wants.STEPS:
        first_step_first(first, rest)
    return replace(choice, ranked=first + rest, pool=first)


def _shows(asked: Asked, extract: Extract, *, source: bool = False) -> bool:
    """Whether a place shows what is expected; with `source` only when it is the named one."""
    if asked.holds is None or (source and not asked.is_from(extract.locator)):
        return False
    return asked.holds("\n".join(f"{piece.header}\n{piece.text}" for piece in extract.pieces))


def _fit_evidence(chosen: Sequence[Chosen]) -> tuple[Array, float]:
    """Logistic regression with a ridge over standardised signs, by Newton's method."""
    rows = np.array([one.signs for one in chosen])
    right = np.array([float(one.first) for one in chosen])
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
    steps = [round(0.01 * step, 2) for step in range(1, 97)]
    constants.answer_from = next((at for at in steps if _wrong_share(headed, at) <= WRONG_SHARE), steps[-1])
    if prose:
        constants.prose_from = max(steps, key=lambda at: _worth(prose, at))
    kept = sorted(p for one, p in headed if one.closest is not None and one.closest < 2)
    if kept:
        constants.closest_from = round(kept[int(LOST_SHARE * len(kept))], 3)


def _wrong_share(chosen: Sequence[tuple[Chosen, float]], at: float) -> float:
    answered = [one for one, probability in chosen if probability >= at]
    return sum(not one.any for one in answered) / max(len(answered), 1)


def _worth(chosen: Sequence[tuple[Chosen, float]], at: float) -> int:
    """Questions answered rightly, less those answered wrongly."""
    return sum(1 if one.any else -1 for one, probability in chosen if probability >= at)


def _probability(one: Chosen, constants: Constants) -> float:
    weights = np.array([constants.evidence[name] for name in _SIGNS])
    return float(1 / (1 + np.exp(-(one.signs @ weights + constants.bias))))


def _grade(one: Chosen, probability: float, constants: Constants) -> str:
    limit = constants.prose_from if one.asked.prose else constants.answer_from
    if probability >= limit and not one.vague:
        return "right" if one.first else "partly" if one.any else "wrong"
    if one.asked.holds is None:
        return "right"
    if probability < constants.closest_from and not one.vague:
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
