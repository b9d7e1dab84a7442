"""Messages of admin.v1.OperationsService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from query_server.handlers.admin.operations import MAX_PAYLOAD_CHARS, QuarantinedPayload
from ragproto.admin.v1 import operations_pb2 as pb

if TYPE_CHECKING:
    from sqlalchemy import Row

    from rag_core.content.quality import Quarantined
    from rag_core.governance.audit import AuditEntry
    from rag_core.ingestion.pipeline import Stage


def from_source(row: Row[tuple[object, ...]], last: Stage | None) -> pb.SourceDetail:
    """A source; `row` is its row in the table."""
    return message_of(
        pb.SourceDetail,
        row,
        approved_deletions=row.deletions_approved,
        last_run=from_stage(last) if last else None,
    )


def from_stage(stage: Stage) -> pb.RunStage:
    """A stage of a run."""
    return message_of(pb.RunStage, stage, counts={name: int(count) for name, count in stage.counts.items()})


def from_entry(entry: Quarantined) -> pb.QuarantineEntry:
    """An entry of the quarantine."""
    return message_of(pb.QuarantineEntry, entry)


def from_payload(payload: QuarantinedPayload) -> pb.GetQuarantineEntryResponse:
    """An entry with what is stored of its input."""
    text = payload.text or ""
    return pb.GetQuarantineEntryResponse(
        entry=from_entry(payload.entry),
        payload=text[:MAX_PAYLOAD_CHARS],
        payload_truncated=len(text) > MAX_PAYLOAD_CHARS,
        payload_withheld=payload.withheld,
    )


def from_audit_entry(entry: AuditEntry) -> pb.AuditRecord:
    """A record of the audit log. The tenant is left out: it is the caller's own."""
    details = {name: value for name, value in entry.details.items() if name != "tenant"}
    named = {"doc_id": entry.doc_id and str(entry.doc_id), "locator": entry.locator}
    details |= {name: value for name, value in named.items() if value}
    return message_of(pb.AuditRecord, entry, details=details)
