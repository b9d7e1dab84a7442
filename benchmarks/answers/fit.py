"""Logistic regression by plain gradient descent: a handful of features need no library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_STEPS = 3000
_RATE = 0.5
_RIDGE = 1e-3


def fit(positive: Array, negative: Array) -> tuple[Array, float]:
    """Weights and bias that separate the rows of two matrices of shape [n, features], both kinds counting the same."""
    rows = np.concatenate([positive, negative])
    labels = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    mean, spread = rows.mean(0), rows.std(0) + 1e-9
    scaled = (rows - mean) / spread
    weights, bias = np.zeros(rows.shape[1]), 0.0
    for _ in range(_STEPS):
        error = 1 / (1 + np.exp(-(scaled @ weights + bias))) - labels
        weights -= _RATE * (scaled.T @ error / len(labels) + _RIDGE * weights)
        bias -= _RATE * float(error.mean())
    original = weights / spread
    return original, bias - float(original @ mean)
