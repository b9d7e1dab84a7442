"""Helpers to time calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def seconds(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a call, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..100) percent of the values lie."""
    return float(np.percentile(values, share))


def median(values: Sequence[float]) -> float:
    """The middle value; robust against a busy neighbour in one round."""
    return float(np.median(values))
