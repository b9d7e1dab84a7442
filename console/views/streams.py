"""Real time: how long a pushed document takes to be found, and what waits in the streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console.clients import Sample
from console.views.counters import cumulative, quantile, series

CANARY = "rag_canary_seconds_bucket"


def canary(samples: Sequence[Sample], step: str = "searchable") -> float | None:
    """Seconds within which 95 of 100 canary documents reach a step, as far as they are remembered."""
    if not samples:
        return None

    def of_step(labels: dict[str, str]) -> bool:
        return labels.get("step") == step

    buckets = cumulative(samples[0], samples[-1], CANARY, of_step)
    if not any(buckets.values()):  # none in this time: all since the worker started
        buckets = cumulative(Sample(0, {}), samples[-1], CANARY, of_step)
    found = quantile(buckets, 0.95)
    return found / 1000 if found is not None else None


def lag_rows(samples: Sequence[Sample], tenant: str) -> list[dict[str, Any]]:
    """The streams of a tenant and the push inbox now: changes that wait, for how long, and whether one is halted."""
    if not samples:
        return []
    streams: dict[str, dict[str, float]] = {}
    for name in ("messages", "seconds", "halted"):
        metric = "rag_stream_halted" if name == "halted" else f"rag_stream_lag_{name}"
        for labels, value in series(samples[-1], metric):
            streams.setdefault(labels.get("stream", ""), {})[name] = value
    return [
        {"stream": name.removeprefix(f"{tenant}/"), "waiting": int(found.get("messages", 0)),
         "seconds": found.get("seconds", 0.0), "halted": bool(found.get("halted"))}
        for name, found in sorted(streams.items())
        if "/" not in name or name.startswith(f"{tenant}/")
    ]  # fmt: skip
