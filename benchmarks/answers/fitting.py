"""Fit the constants of the extractive answerer, and measure them on questions that the fit has not seen.

Two fits, one after the other: a softmax over the passages of each question puts those that hold the answer first, then
a logistic regression over features of the best one estimates whether it answers. Thresholds are read from that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.answers.asked import Asked
from benchmarks.report import Cell, Progress, Table
from rag_core.answering.extractive import rank_passages, weights
from rag_core.answering.extractive.decision import features

Array = NDArray[np.float64]

FOLDS = 5
NEAR_PRIOR = 0.02
"""How strongly the weights of the order are held near those that are shipped."""
STEPS = 400
RIDGE = 1.0
RIGHT_SHARE = 0.85
"""Of the questions that are answered, so many must be answered by the first passage."""
LOST_SHARE = 0.02
"""Of the questions whose best passages hold the answer, so many may be answered with nothing found."""
_ORDER = tuple(weights.RANKING)


@dataclass(frozen=True, slots=True)
class Constants:
    """What `rag_core.answering.extractive.weights` holds."""

    ranking: dict[str, float]
    evidence: weights.Evidence
    compared: bool
    """Whether the evidence is that of questions that were compared token by token."""


@dataclass(frozen=True, slots=True)
class Case:
    """The passages of one question: their features in the order, which of them hold the answer, and the features of the
    first one in the decision."""

    asked: Asked
    rows: Array
    right: Array
    evidence: Array
    compared: bool


def fit(questions: Sequence[Asked], progress: Progress) -> tuple[Constants, list[Table]]:
    """The constants fitted on all questions, and tables of what constants fitted on four fifths do on the rest."""
    cases = []
    for number, asked in enumerate(questions):
        progress(number, len(questions))
        cases.append(_case(asked))
    folds = _folds(questions)
    unseen = []
    for fold in range(FOLDS):
        others = [case for case, own in zip(cases, folds, strict=True) if own != fold]
        order, (slopes, bias) = _fit_order(others), _fit_evidence(others)
        unseen += [
            (case, _places(case, order), _probability(case, slopes, bias))
            for case, own in zip(cases, folds, strict=True)
            if own == fold
        ]
    order, (found, bias) = _fit_order(cases), _fit_evidence(cases)
    named_slopes = dict(zip(_names(cases), map(float, found), strict=True))
    answer_from, closest_from = _thresholds([(case, probability) for case, _, probability in unseen])
    named = dict(zip(_ORDER, map(float, order), strict=True))
    evidence = weights.Evidence(named_slopes, bias, answer_from, closest_from)
    constants = Constants(named, evidence, cases[0].compared)
    return constants, [_ranks(unseen), _outcomes(unseen, constants)]


def written(constants: Constants) -> str:
    """The module `rag_core.answering.extractive.weights` with these constants."""
    text = Path(weights.__file__).read_text("utf-8")
    text = _replaced(text, "RANKING: Final = ", "}", _literal(constants.ranking))
    name = "COMPARED" if constants.compared else "BY_WORDS"
    return _replaced(text, f"{name}: Final = ", "\n)", _evidence(constants.evidence))


def write(constants: Constants) -> Path:
    """Put the constants into the source checkout."""
    path = Path(weights.__file__)
    path.write_text(written(constants), "utf-8")
    return path


def _replaced(text: str, head: str, end: str, value: str) -> str:
    """The text with another value between `head` and `end`, which is the last of the value before."""
    start = text.index(head) + len(head)
    return text[:start] + value + text[text.index(end, start) + len(end) :]


def _literal(values: Mapping[str, float]) -> str:
    return "{" + ", ".join(f'"{name}": {round(value, 2)}' for name, value in values.items()) + "}"


def _evidence(found: weights.Evidence) -> str:
    return (
        f"Evidence(\n    weights={_literal(found.weights)},\n    bias={round(found.bias, 2)},\n"
        f"    answer_from={found.answer_from},\n    closest_from={found.closest_from},\n)"
    )


def _case(asked: Asked) -> Case:
    ranking = asyncio.run(rank_passages(asked.question()))
    candidates = ranking.candidates
    holds = asked.holds or (lambda text: False)
    compared = candidates[0].matches is not None
    names = (weights.COMPARED if compared else weights.BY_WORDS).weights
    found = features(ranking.asked, candidates)
    return Case(
        asked,
        np.array([[one.features.get(name, 0.0) for name in _ORDER] for one in candidates]).reshape(-1, len(_ORDER)),
        np.array([float(holds(one.passage.text)) for one in candidates]),
        np.array([found[name] for name in names]),
        compared,
    )


def _fit_order(cases: Sequence[Case]) -> Array:
    """Maximise the share that passages with the answer have in a softmax, by Adam."""
    given = [case for case in cases if case.right.any() and not case.right.all()]
    prior = np.array([weights.RANKING[name] for name in _ORDER])
    found, mean, square = prior.copy(), np.zeros_like(prior), np.zeros_like(prior)
    for step in range(1, STEPS + 1):
        slope = NEAR_PRIOR * (found - prior)
        for case in given:
            scores = case.rows @ found
            shares = np.exp(scores - scores.max())
            right = shares * case.right
            slope -= (right / max(right.sum(), 1e-12) - shares / shares.sum()) @ case.rows / len(given)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope * slope
        found -= 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return found


def _fit_evidence(cases: Sequence[Case]) -> tuple[Array, float]:
    """Logistic regression with a ridge over standardised features, by Newton's method."""
    rows = np.array([case.evidence for case in cases])
    right = np.array([case.right[:1].sum() for case in cases])
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    given = np.hstack([(rows - middle) / spread, np.ones((len(rows), 1))])
    ridge = np.diag([RIDGE] * rows.shape[1] + [0.0])
    found = np.zeros(given.shape[1])
    for _ in range(50):
        sure = 1 / (1 + np.exp(-(given @ found)))
        slope = given.T @ (sure - right) + ridge @ found
        curve = (given * (sure * (1 - sure))[:, None]).T @ given + ridge + np.eye(len(found)) * 1e-9
        found -= np.linalg.solve(curve, slope)
    slopes = found[:-1] / spread
    return slopes, float(found[-1] - slopes @ middle)


def _names(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple((weights.COMPARED if cases[0].compared else weights.BY_WORDS).weights)


def _probability(case: Case, slopes: Array, bias: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(case.evidence @ slopes + bias, -50, 50))))


def _places(case: Case, order: Array) -> int | None:
    """The place, from 0, of the first passage that holds the answer."""
    ranked = case.right[np.argsort(-(case.rows @ order), kind="stable")]
    return next((place for place, right in enumerate(ranked) if right), None)


def _thresholds(unseen: Sequence[tuple[Case, float]]) -> tuple[float, float]:
    """The probability from which enough of the answers are right, and that below which few answers are lost."""
    steps = [round(0.01 * step, 2) for step in range(1, 100)]
    answer_from = next((at for at in steps if _right_share(unseen, at) >= RIGHT_SHARE), steps[-1])
    kept = sorted(probability for case, probability in unseen if case.right[:3].any())
    closest_from = round(kept[int(LOST_SHARE * len(kept))], 3) if kept else 0.0
    return answer_from, min(closest_from, answer_from)


def _right_share(unseen: Sequence[tuple[Case, float]], at: float) -> float:
    answered = [case.right[:1].any() for case, probability in unseen if probability >= at]
    return sum(answered) / max(len(answered), 1)


def _ranks(unseen: Sequence[tuple[Case, int | None, float]]) -> Table:
    places = [place for case, place, _ in unseen if case.asked.holds is not None]
    within = [sum(place is not None and place < depth for place in places) for depth in (1, 2, 3)]
    return Table(
        "Passages that hold the answer", ("questions", "first", "in two", "in three"), ((len(places), *within),)
    )


def _outcomes(unseen: Sequence[tuple[Case, int | None, float]], constants: Constants) -> Table:
    counts: Counter[tuple[str, str]] = Counter()
    for case, _, probability in unseen:
        kind = case.asked.kind if case.asked.holds else "without an answer"
        shown = "answered" if probability >= constants.evidence.answer_from else "best matches"
        counts[kind, "nothing" if probability < constants.evidence.closest_from else shown] += 1
        counts[kind, "wrong"] += probability >= constants.evidence.answer_from and not case.right[:1].any()
    columns = ("answered", "wrong", "best matches", "nothing")
    kinds = sorted({kind for kind, _ in counts})
    rows: list[tuple[Cell, ...]] = [(kind, *(counts[kind, column] for column in columns)) for kind in kinds]
    return Table("Questions that the fit has not seen", ("kind", *columns), tuple(rows))


def _folds(questions: Sequence[Asked]) -> list[int]:
    """The same fold for the same question, of whatever corpus it is asked."""
    numbers = {text: at for at, text in enumerate(dict.fromkeys(one.text for one in questions))}
    order = np.random.RandomState(0).permutation(len(numbers))
    return [int(order[numbers[one.text]]) % FOLDS for one in questions]
