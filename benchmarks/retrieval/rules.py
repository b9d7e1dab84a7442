"""Fusion rules over whole matrices: the engine's with free constants, and the alternatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.retrieval.legs import NONE, Legs, Matrix
from rag_core.retrieval.search.fusion import FULL_MATCH, STANDING

Rule = Callable[[Legs], Matrix]
"""From the candidates of both legs to fused scores."""
Scale = Callable[[Matrix], Matrix]


def judged(*, standing: float = STANDING, power: float = 2, full: float = FULL_MATCH) -> Rule:
    """Each leg by its distribution, weighed by what it found (`rag_core.retrieval.search.fusion`, which has no
    matrices)."""

    def rule(legs: Legs) -> Matrix:
        words = legs.known**power * (1 + full * np.maximum(0, 2 * legs.matched - 1))
        return _sum(
            legs, standing_out(legs.dense, standing) * distribution(legs.dense), words * distribution(legs.lexical)
        )

    return rule


def by_known(full: float) -> Rule:
    """The lexical leg in full from this share of known query terms, and in proportion below it; the dense always."""

    def rule(legs: Legs) -> Matrix:
        words = np.minimum(1, legs.known / full)
        return _sum(legs, distribution(legs.dense), words * distribution(legs.lexical))

    return rule


def reciprocal(k: int) -> Rule:
    """Reciprocal ranks."""

    def places(scores: Matrix) -> Matrix:
        ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
        return np.where(np.isfinite(scores), 1 / (k + ranks + 1), 0).astype(np.float32)

    return lambda legs: _sum(legs, places(legs.dense), places(legs.lexical))


def weighted(scale: Scale, share: float) -> Rule:
    """Scaled scores with a fixed share for the dense leg."""
    return lambda legs: _sum(legs, share * scale(legs.dense), (1 - share) * scale(legs.lexical))


def min_max(scores: Matrix) -> Matrix:
    """The worst candidate at 0, the best at 1."""
    known = np.isfinite(scores)
    low = np.where(known, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(known, scores, -np.inf).max(axis=1, keepdims=True)
    return _where_known(scores, lambda: (scores - low) / np.maximum(high - low, 1e-9))


def distribution(scores: Matrix) -> Matrix:
    """Mean - 3 deviations at 0, mean + 3 at 1; equal scores at 0.5."""
    known = np.isfinite(scores)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, scores, 0).sum(axis=1, keepdims=True) / count
    spread = np.where(known, (scores - mean) ** 2, 0).sum(axis=1, keepdims=True) / np.maximum(count - 1, 1)
    deviation = np.sqrt(spread)
    scaled = _where_known(scores, lambda: (scores - mean + 3 * deviation) / np.maximum(6 * deviation, 1e-9))
    return np.where(known & (deviation == 0), 0.5, scaled).astype(np.float32)


def standing_out(dense: Matrix, standing: float) -> Matrix:
    """Weight of the dense leg, shape [queries, 1]: how far its best candidate is above the others."""
    known = np.isfinite(dense)
    count = known.sum(axis=1, keepdims=True)
    best = dense.max(axis=1, keepdims=True)
    others = (np.where(known, dense, 0).sum(axis=1, keepdims=True) - best) / np.maximum(count - 1, 1)
    weight = np.minimum(1, (best - others) / np.maximum(1 - others, 1e-6) / standing)
    return np.where(count < 2, 1, weight).astype(np.float32)


def _where_known(scores: Matrix, scaled: Callable[[], Any]) -> Matrix:
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(scores), scaled(), 0).astype(np.float32)


def _sum(legs: Legs, first: Any, second: Any) -> Matrix:
    return np.where(np.isfinite(legs.dense) | np.isfinite(legs.lexical), first + second, NONE).astype(np.float32)


def _dense(legs: Legs) -> Matrix:
    return legs.dense


def _lexical(legs: Legs) -> Matrix:
    return legs.lexical


DENSE, LEXICAL, USED = "dense alone", "BM25 alone", "judged: what is used"
RULES: dict[str, Rule] = {
    DENSE: _dense,
    LEXICAL: _lexical,
    "RRF, k 60": reciprocal(60),
    "min-max, dense 0.5": weighted(min_max, 0.5),
    **{f"DBSF, dense {share}": weighted(distribution, share) for share in (0.5, 0.65)},
    "DBSF, known 0.5": by_known(0.5),
    **{f"judged, full match {full:g}": judged(full=full) for full in (0, 1, 3)},
    **{f"judged, standing {standing}": judged(standing=standing) for standing in (0.2, 0.25, 0.4)},
    **{f"judged, known ^{power:g}": judged(power=power) for power in (1, 1.5, 3)},
    USED: judged(),
}
