"""Quarantine, documents, generations, ratings and the audit log as rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from console.clients import Check
from console.views.formats import plain
from console.views.quality import severity_of
from ragproto.admin.v1 import operations_pb2 as ops

STATES = {
    ops.DOCUMENT_STATE_SEARCHABLE: "searchable",
    ops.DOCUMENT_STATE_PENDING: "waiting for the index",
    ops.DOCUMENT_STATE_DELETED: "deleted at the source",
    ops.DOCUMENT_STATE_WITHOUT_ACL: "has no ACL: nobody may see it",
    ops.DOCUMENT_STATE_QUARANTINED: "in quarantine",
}


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


def document_rows(documents: Iterable[ops.DocumentRow]) -> list[dict[str, Any]]:
    """One row per document."""
    return [
        {
            "locator": plain(item.locator),
            "title": plain(item.title),
            "source": item.source,
            "state": STATES.get(item.state, "unknown"),
            "version": item.version,
            "at": item.updated_at.seconds,
            "doc_id": item.doc_id,
        }
        for item in documents
    ]


def chunk_rows(found: ops.InspectDocumentResponse) -> list[dict[str, Any]]:
    """One row per chunk with the text of its span."""
    return [
        {
            "ordinal": item.ordinal,
            "start": item.start,
            "end": item.end,
            "tokens": item.tokens,
            "embedded": item.embedded,
            "headings": plain(" › ".join(item.headings)),
            "text": plain(found.text[item.start : item.end]),
        }
        for item in found.chunks
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
    """What was done; a call on record by its path is told by service and method."""
    service, _, method = action.removeprefix("/").partition("/")
    return f"{service.rpartition('.')[2]}.{method}" if action.startswith("/") else action


def golden_lines(ratings: Sequence[ops.Rating]) -> str:
    """Judgements as JSON lines, the form in which a golden set is kept."""
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
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
