"""What counters and histograms did between two samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from console.clients import Sample


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Milliseconds below which a share of the calls lie, by linear interpolation in cumulative buckets of seconds."""
    ordered = sorted(buckets.items())
    total = ordered[-1][1] if ordered else 0.0
    if total <= 0:
        return None
    below, lower = 0.0, 0.0
    for bound, count in ordered:
        if count >= share * total:
            if math.isinf(bound):
                return lower * 1000
            inside = count - below
            return (lower + (bound - lower) * ((share * total - below) / inside if inside else 1.0)) * 1000
        below, lower = count, bound
    return lower * 1000


def grew(before: Sample, after: Sample, name: str, label: str, where: Any = lambda labels: True) -> dict[str, float]:
    """By how much a counter grew between two samples, summed by the values of a label."""
    found: dict[str, float] = {}
    for labels, value in series(after, name):
        if where(labels):
            past = before.values.get((name, tuple(sorted(labels.items()))), 0.0)
            # A counter that fell belongs to a server that was started anew.
            found[labels.get(label, "")] = found.get(labels.get(label, ""), 0.0) + (
                value - past if value >= past else value
            )
    return found


def cumulative(before: Sample, after: Sample, name: str, where: Any) -> dict[float, float]:
    """The buckets of a histogram that filled between two samples, by their upper bound in seconds."""
    return {float(bound): count for bound, count in grew(before, after, name, "le", where=where).items()}


def series(sample: Sample, name: str) -> Iterable[tuple[dict[str, str], float]]:
    """The labels and values that a metric has in a sample."""
    return ((dict(labels), value) for (found, labels), value in sample.values.items() if found == name)
