"""Maximal marginal relevance: each next passage is relevant and unlike those before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_core.embedding.base import Vectors


def diversified(relevance: Sequence[float], vectors: Vectors, diversity: float) -> list[int]:
    """The order of n items: `relevance` has n scores, `vectors` shape [n, dimensions], `diversity` is in [0, 1].

    Relevance and likeness are each stretched to [0, 1] over the items, so that neither the kind of score nor how an
    embedder spreads its cosines decides what `diversity` means. Quadratic in n.
    """
    scores = _stretched(np.asarray(relevance, dtype=np.float64))
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit = (vectors / norms).astype(np.float64)
    likeness = _stretched(unit @ unit.T)
    left = np.ones(len(scores), dtype=bool)
    nearest = np.zeros(len(scores))
    order: list[int] = []
    while left.any():
        gain = np.where(left, (1 - diversity) * scores - diversity * nearest, -np.inf)
        chosen = int(np.argmax(gain))
        order.append(chosen)
        left[chosen] = False
        nearest = np.maximum(nearest, likeness[chosen])
    return order


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    return np.zeros_like(values) if high - low < 1e-12 else (values - low) / (high - low)
