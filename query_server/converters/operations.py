"""Messages of admin.v1.OperationsService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.converters.times import to_timestamp
from query_server.handlers.admin.operations import MAX_PAYLOAD_CHARS, Payload
from ragproto.admin.v1 import operations_pb2 as pb

if TYPE_CHECKING:
    from sqlalchemy import Row

    from rag_core.operations import Entry
    from rag_core.pipeline import Stage
    from rag_core.quality import Quarantined


def from_source(row: Row[tuple[object, ...]], last: Stage | None) -> pb.SourceDetail:
    """A source; `row` is its row in the table."""
    message = pb.SourceDetail(
        name=row.name,
        kind=row.kind,
        shards=row.shards,
        acl=row.acl or (),
        held_deletions=row.held_deletions,
        held_at=to_timestamp(row.held_at),
        approved_deletions=row.deletions_approved or 0,
        last_complete_at=to_timestamp(row.last_complete_at),
        last_run=from_stage(last) if last else None,
    )
    message.cursor.update(row.cursor)
    return message


def from_stage(stage: Stage) -> pb.RunStage:
    """A stage of a run."""
    return pb.RunStage(
        run_id=stage.run_id,
        source=stage.source,
        shard=stage.shard,
        stage=stage.stage,
        counts={name: int(count) for name, count in stage.counts.items()},
        seconds=stage.seconds,
        complete=stage.complete,
        problem=stage.problem or "",
        finished_at=to_timestamp(stage.finished_at),
    )


def from_entry(entry: Quarantined) -> pb.QuarantineEntry:
    """An entry of the quarantine."""
    return pb.QuarantineEntry(
        id=entry.id,
        source=entry.source,
        locator=entry.locator,
        stage=entry.stage,
        reason=entry.reason,
        message=entry.message,
        attempts=entry.attempts,
        skipped=entry.skipped,
        run_id=entry.run_id,
        first_at=to_timestamp(entry.first_at),
        last_at=to_timestamp(entry.last_at),
    )


def from_payload(payload: Payload) -> pb.GetQuarantineEntryResponse:
    """An entry with what is stored of its input."""
    text = payload.text or ""
    return pb.GetQuarantineEntryResponse(
        entry=from_entry(payload.entry),
        payload=text[:MAX_PAYLOAD_CHARS],
        payload_truncated=len(text) > MAX_PAYLOAD_CHARS,
        payload_withheld=payload.withheld,
    )


def from_audit_entry(entry: Entry) -> pb.AuditRecord:
    """A record of the audit log. The tenant is left out: it is the caller's own."""
    message = pb.AuditRecord(
        id=entry.id,
        at=to_timestamp(entry.at),
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        outcome=entry.outcome,
    )
    message.details.update({name: value for name, value in entry.details.items() if name != "tenant"})
    named = {"doc_id": entry.doc_id and str(entry.doc_id), "locator": entry.locator}
    message.details.update({name: value for name, value in named.items() if value})
    return message
