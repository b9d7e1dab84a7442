"""Quarantine, documents, generations, ratings and the audit log as rows."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from console.i18n import N_
from console.presenters.formats import plain
from rag_clients.dagster_answers import Check
from ragproto.admin.v1 import operations_pb2 as ops

# --------------------------------------------------------------------------------------------------------------------
# The quality of a source over time as rows of charts and tables.


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
    """The share of each language after each run, oldest first; rare ones are summed up as `other`."""
    runs: dict[str, tuple[int, Counter[str]]] = {}
    for item in results:
        at, counts = runs.setdefault(item.run_id, (item.finished_at.seconds, Counter()))
        counts.update({name or "unknown": count for name, count in item.languages.items()})
        runs[item.run_id] = (max(at, item.finished_at.seconds), counts)
    overall: Counter[str] = sum((counts for _, counts in runs.values()), Counter())
    shown = {name for name, _ in overall.most_common(LANGUAGES_SHOWN)}
    rows = []
    for at, counts in sorted(runs.values(), key=lambda run: run[0]):
        shares: Counter[str] = Counter()
        for name, count in counts.items():
            shares[name if name in shown else "other"] += count
        rows += [
            {"at": at, "language": name, "share": count / shares.total()} for name, count in sorted(shares.items())
        ]
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
    """Count the checks that passed, failed and never ran, by severity."""
    counts: dict[str, Counter[str]] = {}
    for item in checks:
        outcome = {True: "passed", False: "failed", None: "never"}[item.passed]
        counts.setdefault(severity_of(item), Counter())[outcome] += 1
    return [
        {"severity": name, **{outcome: counts[name][outcome] for outcome in ("passed", "failed", "never")}}
        for name in N_(("blocking", "error", "warn"))
        if name in counts
    ]


def severity_of(check: Check) -> str:
    """The severity of a failure of this check."""
    return "blocking" if check.blocking else check.severity.lower() or "warn"


def quarantine_rows(entries: Iterable[ops.QuarantineEntry]) -> list[dict[str, Any]]:
    """One row per entry. Messages may quote the input, so they are made plain."""
    return [
        {
            "id": item.id,
            "source": item.source,
            "locator": plain(item.locator),
            "stage": item.stage,
            "reason": item.reason,
            "message": plain(item.message),
            "attempts": item.attempts,
            "skipped": item.skipped,
            "at": item.last_at.seconds,
        }
        for item in entries
    ]


def check_rows(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """One row per check; what failed comes first, and of that what blocks."""
    ordered = sorted(checks, key=lambda item: (item.passed is not False, not item.blocking, item.stage, item.name))
    return [
        {
            "check": item.name,
            "stage": item.stage,
            "result": {True: "passed", False: "failed", None: "never"}[item.passed],
            "severity": severity_of(item),
            "at": item.at,
            "figures": ", ".join(f"{name} {value}" for name, value in item.figures),
            "note": plain(item.description),
        }
        for item in ordered
    ]


def around(text: str, start: int, end: int, margin: int = 400) -> tuple[str, str, str]:
    """A span with what stands before and after it, cut at `margin` characters."""
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    before = ("… " if start > margin else "") + plain(text[max(0, start - margin) : start])
    after = plain(text[end : end + margin]) + (" …" if end + margin < len(text) else "")
    return before, plain(text[start:end]), after


def audit_rows(records: Iterable[ops.AuditRecord]) -> list[dict[str, Any]]:
    """One row per action; its reason stands apart from the other facts."""
    rows = []
    for item in records:
        details = MessageToDict(item.details)
        reason = details.pop("reason", "")
        rows.append(
            {
                "at": item.at.seconds,
                "actor": plain(item.actor),
                "action": _named(item.action),
                "target": plain(item.target),
                "outcome": item.outcome or "ok",
                "reason": plain(str(reason)),
                "details": plain(", ".join(f"{key}: {_whole(value)}" for key, value in sorted(details.items()))),
            }
        )
    return rows


def _named(action: str) -> str:
    """The action; a call recorded by its path is shown as service and method."""
    service, _, method = action.removeprefix("/").partition("/")
    return f"{service.rpartition('.')[2]}.{method}" if action.startswith("/") else action


def golden_lines(ratings: Sequence[ops.Rating]) -> str:
    """Ratings as JSON lines, the format of a golden set."""
    return "".join(
        json.dumps(MessageToDict(item, preserving_proto_field_name=True), ensure_ascii=False) + "\n" for item in ratings
    )


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV. A cell that a spreadsheet would run as a formula is made text."""
    if not rows:
        return ""
    target = io.StringIO()
    writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return target.getvalue()


def _inert(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # Programs skip blanks and signs without a shape before a formula, and some read its wide forms.
    first = next((sign for sign in value if sign.isprintable() and not sign.isspace()), "")
    return f"'{value}" if unicodedata.normalize("NFKC", first) in ("=", "+", "-", "@") else value


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(_whole(item)) for item in value) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_whole(item)}" for key, item in sorted(value.items())) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return int(value) if isinstance(value, float) and value.is_integer() else value
