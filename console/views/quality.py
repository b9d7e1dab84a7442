"""The quality of a source over time as rows of charts and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from console.clients import Check
from console.views.formats import plain
from ragproto.admin.v1 import operations_pb2 as ops

LANGUAGES_SHOWN = 6
"""More languages than this share one line of the chart."""


def history(results: Iterable[ops.QualityResult]) -> list[dict[str, Any]]:
    """One row per run, oldest first. Of several shards: the worst score, the sums, and the largest median size."""
    runs: dict[str, list[ops.QualityResult]] = {}
    for item in results:
        runs.setdefault(item.run_id, []).append(item)
    rows = [_run(run_id, shards) for run_id, shards in runs.items()]
    return sorted(rows, key=lambda row: row["at"])


def _run(run_id: str, shards: Sequence[ops.QualityResult]) -> dict[str, Any]:
    documents = sum(item.documents for item in shards)
    return {
        "run": run_id[:8],
        "at": max(item.finished_at.seconds for item in shards),
        "score": min(item.score for item in shards),
        "documents": documents,
        "duplicates": sum(item.duplicates for item in shards) / documents if documents else 0.0,
        "kibibytes": max(item.median_bytes for item in shards) / 1024,
        "failed": sum(item.failed for item in shards),
    }


def languages(results: Iterable[ops.QualityResult]) -> list[dict[str, Any]]:
    """The share of each language after each run, oldest first; rare ones are told together as `other`."""
    runs: dict[str, tuple[int, Counter[str]]] = {}
    for item in results:
        at, counts = runs.setdefault(item.run_id, (item.finished_at.seconds, Counter()))
        counts.update({name or "unknown": count for name, count in item.languages.items()})
        runs[item.run_id] = (max(at, item.finished_at.seconds), counts)
    overall: Counter[str] = sum((counts for _, counts in runs.values()), Counter())
    shown = {name for name, _ in overall.most_common(LANGUAGES_SHOWN)}
    rows = []
    for at, counts in sorted(runs.values(), key=lambda run: run[0]):
        told: Counter[str] = Counter()
        for name, count in counts.items():
            told[name if name in shown else "other"] += count
        rows += [{"at": at, "language": name, "share": count / told.total()} for name, count in sorted(told.items())]
    return rows


def fired(results: Sequence[ops.QualityResult]) -> list[dict[str, Any]]:
    """The source rules that fired in the newest run, what fails the run first."""
    newest = [item for item in results if item.run_id == results[0].run_id]
    found = {(name, "error"): value for item in newest for name, value in item.errors.items()}
    found |= {(name, "warn"): value for item in newest for name, value in item.warnings.items()}
    ordered = sorted(found.items(), key=lambda entry: (entry[0][1] != "error", entry[0][0]))
    return [{"rule": name, "severity": severity, "value": round(value, 3)} for (name, severity), value in ordered]


def finding_rows(findings: Iterable[ops.RuleFinding]) -> list[dict[str, Any]]:
    """One row per rule with some of the documents it found."""
    return [
        {"rule": item.rule, "found": item.found, "samples": plain("\n".join(item.samples))}
        for item in sorted(findings, key=lambda item: -item.found)
    ]


def severities(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """How many checks passed, failed and never ran, by severity."""
    counts: dict[str, Counter[str]] = {}
    for item in checks:
        outcome = {True: "passed", False: "failed", None: "never"}[item.passed]
        counts.setdefault(severity_of(item), Counter())[outcome] += 1
    return [
        {"severity": name, **{outcome: counts[name][outcome] for outcome in ("passed", "failed", "never")}}
        for name in ("blocking", "error", "warn")
        if name in counts
    ]


def severity_of(check: Check) -> str:
    """What a failure of this check means."""
    return "blocking" if check.blocking else check.severity.lower() or "warn"
