"""The quarantine: unusable inputs with stage, reason and attempts, and the rules for retrying them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, case, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from rag_core.database import storable
from rag_core.database.tables.content import chunkings, documents, generation_documents, generations, quarantine
from rag_core.errors import NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.webhooks import outbox_store as outbox
from rag_core.ids import document_id

BEFORE_STORE = ("list", "fetch", "parse")
"""Stages in which an input fails before it is stored; an earlier stored version stays."""
AFTER_STORE = ("chunk", "embed", "index")
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One failure. `token` is `None` when the next run should retry it regardless of attempts (the source was down)."""

    locator: str
    stage: str
    reason: str
    message: str
    token: str | None
    parser_fingerprint: str
    skipped: bool = False


def record(
    connection: Connection, tenant: str, source: str, shard: int, run_id: str, entries: Sequence[QuarantineEntry]
) -> None:
    """Store failures. A repeated failure of the same input counts an attempt; a changed input starts at 1.

    So does one that a new parser tries; since when it fails is kept, for it is no news.
    """
    if not entries:
        return
    statement = insert(quarantine)
    new = statement.excluded
    same = and_(
        quarantine.c.attempts > 0,  # 0: an operator wants it to be tried as if for the first time
        quarantine.c.stage == new.stage,
        quarantine.c.token.is_not_distinct_from(new.token),
    )
    again = and_(same, quarantine.c.parsed_as == new.parsed_as)
    statement = statement.on_conflict_do_update(
        index_elements=["tenant", "source", "locator"],
        set_={
            "shard": new.shard,
            "stage": new.stage,
            "reason": new.reason,
            "message": new.message,
            "token": new.token,
            "parsed_as": new.parsed_as,
            "skipped": new.skipped,
            "run_id": new.run_id,
            "attempts": case((again, quarantine.c.attempts + 1), else_=1),
            "first_at": case((same, quarantine.c.first_at), else_=func.now()),
            "last_at": func.now(),
        },
    )
    common = {"tenant": tenant, "source": source, "shard": shard, "run_id": run_id}
    rows = [
        common
        | {
            "locator": entry.locator,
            "stage": entry.stage,
            "reason": entry.reason,
            "message": storable(entry.message)[:_MAX_MESSAGE],
            "token": entry.token,
            "parsed_as": entry.parser_fingerprint,
            "skipped": entry.skipped,
        }
        for entry in sorted(entries, key=lambda entry: entry.locator)
    ]
    connection.execute(statement, rows)
    inputs = [(document_id(tenant, source, entry.locator), entry.locator) for entry in entries]
    outbox.record_rejected(connection, tenant, source, inputs)


def clear(connection: Connection, tenant: str, source: str, locators: Sequence[str], stages: Sequence[str]) -> None:
    """Delete the entries of inputs that are usable now."""
    if locators:
        connection.execute(
            delete(quarantine).where(
                quarantine.c.tenant == tenant,
                quarantine.c.source == source,
                quarantine.c.locator == func.any(list(locators)),
                quarantine.c.stage.in_(stages),
            )
        )


def retry_due(connection: Connection, tenant: str, source: str, shard: int, attempts: int) -> bool:
    """Return whether to retry an unchanged input that failed before it was stored."""
    columns = quarantine.c
    statement = select(columns.id).where(
        columns.tenant == tenant,
        columns.source == source,
        columns.shard == shard,
        columns.stage.in_(("fetch", "parse")),
        columns.skipped.is_(False),
        or_(columns.token.is_(None), columns.attempts < attempts),
    )
    return connection.scalar(statement.limit(1)) is not None


def redrive(connection: Connection, row_id: int, *, tenant: str, actor: str, note: str = "") -> str:
    """Let the next run retry an input, with attempts reset; returns its locator.

    Raises `NotFound` (`QUARANTINE_NOT_FOUND`).
    """
    row = _locked(connection, row_id, tenant)
    connection.execute(
        update(quarantine).where(quarantine.c.id == row_id).values(token=None, attempts=0, skipped=False)
    )
    # A stored document that was withdrawn is pending again, for its chunker and for the generations with its chunks.
    stored = select(documents.c.doc_id).where(
        documents.c.tenant == tenant, documents.c.source == row.source, documents.c.locator == row.locator
    )
    withdrawn = select(generations.c.name, chunkings.c.doc_id).where(
        chunkings.c.doc_id.in_(stored), chunkings.c.rejected, generations.c.chunker == chunkings.c.chunker
    )
    marks = tuple_(generation_documents.c.generation, generation_documents.c.doc_id)
    connection.execute(delete(generation_documents).where(marks.in_(withdrawn)))
    connection.execute(
        update(chunkings).where(chunkings.c.doc_id.in_(stored), chunkings.c.rejected).values(text_version=0)
    )
    _audited(connection, "quarantine.redrive", row_id, row, tenant, actor, note)
    return str(row.locator)


def discard(connection: Connection, row_id: int, *, tenant: str, actor: str, note: str = "") -> str:
    """Discard an input until it changes; returns its locator. Raises `NotFound`."""
    row = _locked(connection, row_id, tenant)
    connection.execute(update(quarantine).where(quarantine.c.id == row_id).values(skipped=True))
    _audited(connection, "quarantine.discard", row_id, row, tenant, actor, note)
    return str(row.locator)


@dataclass(frozen=True, slots=True)
class _Row:
    source: str
    locator: str
    reason: str
    attempts: int


def _locked(connection: Connection, row_id: int, tenant: str) -> _Row:
    columns = quarantine.c
    statement = select(columns.source, columns.locator, columns.reason, columns.attempts)
    matching = statement.where(columns.id == row_id, columns.tenant == tenant).with_for_update()
    row = connection.execute(matching).one_or_none()
    if row is None:
        raise NotFound(Reason.QUARANTINE_NOT_FOUND, f"quarantine: no entry {row_id}")
    return _Row(row.source, row.locator, row.reason, row.attempts)


def _audited(connection: Connection, action: str, row_id: int, row: _Row, tenant: str, actor: str, note: str) -> None:
    details = {"id": row_id, "reason": row.reason, "attempts": row.attempts} | (
        {"note": storable(note)} if note else {}
    )
    document = audit.AuditedDocument(document_id(tenant, row.source, row.locator), row.source, row.locator)
    audit.record(
        connection, actor=actor, action=action, target=row.source, details=details, tenant=tenant, document=document
    )
