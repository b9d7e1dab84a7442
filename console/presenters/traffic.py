"""Rates, latencies and refusals from samples of counters."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from console.clients.metrics import Replica, Sample, SlowCall
from console.i18n import N_

# --------------------------------------------------------------------------------------------------------------------
# What counters and histograms did between two samples.


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
            # A counter that fell belongs to a server that was restarted.
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


Values = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
REQUESTS, SECONDS = "rag_server_requests_total", "rag_server_request_seconds_bucket"
TENANT_CALLS = "rag_server_tenant_calls_total"
OWN_CALLS = "/ragproto.admin."


def rates(samples: Sequence[Sample], name: str, label: str, *, without: str = "-") -> list[dict[str, Any]]:
    """Per second, for each value of a label, between each two samples: rows of `at`, the label and `rate`.

    Methods whose name begins with `without` are left out: the console's own polls are no traffic.
    """
    if len(samples) < 2:
        return []

    # What never moved in this time would only crowd the legend.
    def counted(labels: dict[str, str]) -> bool:
        return not labels.get("method", "").startswith(without)

    shown = call_name if label == "method" else str
    moved = {value for value, count in grew(samples[0], samples[-1], name, label, where=counted).items() if count}
    rows = []
    for before, after in pairwise(samples):
        seconds = after.at - before.at
        if seconds <= 0:
            continue
        increase = grew(before, after, name, label, where=counted)
        rows += [
            {"at": after.at, label: shown(value), "rate": increase.get(value, 0.0) / seconds} for value in sorted(moved)
        ]
    return rows


def table(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One row per method over all samples, the slowest first: calls per second, p50/p95/p99 in milliseconds, share of
    errors."""
    if len(samples) < 2:
        return []
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    calls = grew(first, last, REQUESTS, "method")
    failed = grew(first, last, REQUESTS, "method", where=lambda labels: labels.get("code") != "OK")
    rows = []
    for method, count in calls.items():
        if not count or method.startswith(OWN_CALLS):
            continue
        buckets = _buckets(first, last, method)
        rows.append(
            {
                "method": call_name(method),
                "rate": count / seconds if seconds else 0.0,
                **{f"p{share}": quantile(buckets, share / 100) for share in (50, 95, 99)},
                "errors": failed.get(method, 0.0) / count if count else 0.0,
            }
        )
    return sorted(rows, key=lambda row: -(row["p95"] or 0.0))


def overall(samples: Sequence[Sample], method: str = "QueryService") -> tuple[float, float | None]:
    """Calls per second and the p95 in milliseconds over all methods whose name holds `method`."""
    if len(samples) < 2:
        return 0.0, None
    first, last = samples[0], samples[-1]
    calls = {name: count for name, count in grew(first, last, REQUESTS, "method").items() if method in name}
    merged: dict[float, float] = {}
    for name in calls:
        for bound, count in _buckets(first, last, name).items():
            merged[bound] = merged.get(bound, 0.0) + count
    return sum(calls.values()) / max(last.at - first.at, 1e-9), quantile(merged, 0.95)


def reasons(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Failed calls by reason code over all samples, the most frequent first."""
    if len(samples) < 2:
        return []
    counts = grew(samples[0], samples[-1], REQUESTS, "reason")
    rows = [{"reason": reason, "calls": int(count)} for reason, count in counts.items() if reason and count]
    return sorted(rows, key=lambda row: (-row["calls"], row["reason"]))


_OLD = "query.v1"


def call_name(method: str) -> str:
    """`/ragproto.query.v2.QueryService/BatchSearch` as `Batch search`; calls of the first API say so."""
    service, _, name = method.removeprefix("/").partition("/")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()
    return f"{words} (v1)" if _OLD in service else words or method


def slowest(calls: Iterable[SlowCall], limit: int = 20) -> list[SlowCall]:
    """The slowest calls that have a trace, without the console's own polls."""
    asked = [call for call in calls if not call.method.startswith(OWN_CALLS)]
    return sorted(asked, key=lambda call: -call.seconds)[:limit]


def replica_rows(replicas: Iterable[Replica]) -> list[dict[str, Any]]:
    """The query servers behind the gateway: address, health and weight; other clusters are no replicas."""
    return [
        {"colour": item.cluster.removeprefix("query-"), "address": item.address, "health": item.health,
         "weight": item.weight}
        for item in sorted(replicas, key=lambda item: (item.cluster, item.address))
        if item.cluster.startswith("query-") and item.cluster != "query-probes"
    ]  # fmt: skip


OVERFLOW = "envoy_cluster_upstream_rq_active_overflow"
IN_FLIGHT = N_("searches in flight")
LIMITS = N_({"address": "per address and minute", "minute": "per client and minute", "hour": "per client and hour"})


def limit_rows(values: Values) -> list[dict[str, Any]]:
    """Calls that passed (`None`: not counted) and that were refused, by limit, since the gateway started."""
    limits: dict[str, dict[str, float]] = {}
    beyond = 0.0
    for (name, labels), value in values.items():
        limit = dict(labels).get("envoy_local_http_ratelimit_prefix")
        if limit:
            limits.setdefault(limit, {})[name.rpartition("rate_limit_")[2]] = value
        elif name == OVERFLOW:
            beyond += value
    rows: list[dict[str, Any]] = [
        {"limit": LIMITS.get(name.removeprefix("limit_"), name), "passed": int(found.get("ok", 0)),
         "refused": int(found.get("rate_limited", 0))}
        for name, found in sorted(limits.items())
    ]  # fmt: skip
    return [*rows, {"limit": IN_FLIGHT, "passed": None, "refused": int(beyond)}]


def tenant_rows(samples: Sequence[Sample], own: str, hashes: Collection[str], *, others: bool) -> list[dict[str, Any]]:
    """Calls per tenant over all samples, the busiest first: per second, failed and shed.

    `hashes` stand for the caller's `own` tenant; `others` are named by the hash that the request log has, or left out.
    """
    if len(samples) < 2:
        return []
    first, last = samples[0], samples[-1]
    seconds = max(last.at - first.at, 1e-9)
    totals = grew(first, last, TENANT_CALLS, "tenant")
    by = {name: grew(first, last, TENANT_CALLS, "tenant", where=lambda found, name=name: found.get("outcome") == name)
          for name in ("failed", "shed")}  # fmt: skip
    rows = [
        {"tenant": own if name in hashes else name, "calls": int(count), "rate": count / seconds,
         "failed": int(by["failed"].get(name, 0)), "shed": int(by["shed"].get(name, 0))}
        for name, count in totals.items()
        if count and (others or name in hashes)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["calls"], row["tenant"]))


def shed(samples: Sequence[Sample]) -> int:
    """Calls that the query server refused because a queue was full."""
    if len(samples) < 2:
        return 0
    return int(sum(grew(samples[0], samples[-1], "rag_server_gate_refused_total", "gate").values()))


def _buckets(before: Sample, after: Sample, method: str) -> dict[float, float]:
    return cumulative(before, after, SECONDS, lambda labels: labels.get("method") == method)
