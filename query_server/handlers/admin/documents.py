"""Documents for operators: lists in pages, one document in full, and indexing it again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from query_server.auth.policies import ADMIN, OPERATE, allows
from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.content import documents, quality
from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.governance import audit
from rag_core.governance.access import Principal, admits
from rag_core.ingestion import pipeline

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.documents import DocumentDetails, DocumentEvent, DocumentQuery, DocumentSummary, MatchCounts
    from rag_core.content.quality import Quarantined

MAX_SHOWN_TEXT_CHARS = 500_000
MAX_ACTIONS = 50


@dataclass(frozen=True, slots=True)
class MatchingDocuments:
    """A page of documents; `counts` is `None` unless asked for, `next_token` empty at the end."""

    documents: tuple[DocumentSummary, ...]
    next_token: str
    counts: MatchCounts | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """A document; `text` is `None` when the caller may not see it."""

    document: DocumentDetails
    text: str | None
    quarantine: Quarantined | None
    history: tuple[DocumentEvent, ...]


class InspectionHandler:
    """Works on the caller's tenant. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def find(
        self, principal: Principal, wanted: DocumentQuery, page: ListPage, *, count: bool
    ) -> MatchingDocuments:
        """A page of documents. Raises `InvalidInput` (`FIELD_INVALID`)."""
        check_text_field("text", wanted.text, limit=1024)
        check_text_field("source", wanted.source)
        check_text_field("media_type", wanted.media_type)
        if wanted.changed_from and wanted.changed_before and wanted.changed_from >= wanted.changed_before:
            raise InvalidInput(Reason.FIELD_INVALID, "changed_before: must be later than changed_from")

        def read(connection: Connection) -> MatchingDocuments:
            after = None
            if page.after is not None:
                key, doc_id, entry = page.after
                after = documents.ListPosition(key, doc_id and uuid.UUID(doc_id), entry)
            found = documents.list_store.page(connection, principal.tenant, wanted, after=after, limit=page.size)
            counts = documents.list_store.count(connection, principal.tenant, wanted) if count else None
            behind = found.following
            token = page.token((behind.key, behind.doc_id and str(behind.doc_id), behind.entry)) if behind else ""
            return MatchingDocuments(found.documents, token, counts)

        return await transact(self._store, read)

    async def inspect(self, principal: Principal, doc_id: uuid.UUID) -> Inspection:
        """One document. Raises `NotFound` (`DOCUMENT_NOT_FOUND`)."""

        def read(connection: Connection) -> Inspection:
            found = documents.inspection_store.inspect(connection, principal.tenant, doc_id)
            if found is None:
                raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: there is none with this id")
            entry = quality.quarantine_read_store.entry_of(
                connection, principal.tenant, found.found.source, found.found.locator
            )
            text = found.text if _may_read(principal, found.acl) else None
            return Inspection(found, text, entry, tuple(_history(connection, principal, found, entry)))

        return await transact(self._store, read)

    async def reindex(self, principal: Principal, doc_id: uuid.UUID, why: str) -> tuple[str, list[str]]:
        """Have a document indexed again; returns its source and the generations. Raises `NotFound`."""
        check_text_field("reason", why)

        def write(connection: Connection) -> tuple[str, list[str]]:
            return pipeline.request_reindex(connection, principal.tenant, doc_id, actor=principal.actor, note=why)

        return await transact(self._store, write)


def _history(
    connection: Connection, principal: Principal, details: DocumentDetails, entry: Quarantined | None
) -> list[DocumentEvent]:
    """Return the history of a document, newest first. Who did it is on record for those who may read the audit log."""
    events = documents.inspection_store.history(details)
    if entry is not None:
        failed = documents.DocumentEvent(
            entry.last_at,
            documents.EventKind.QUARANTINED,
            run_id=entry.run_id,
            detail=entry.reason,
            times=entry.attempts,
        )
        events.append(failed)
    if allows(principal.scopes, OPERATE):
        query = audit.audit_store.AuditQuery(tenant=principal.tenant, doc_id=details.found.doc_id, limit=MAX_ACTIONS)
        events += [
            documents.DocumentEvent(item.at, documents.EventKind.ACTION, detail=item.action, actor=item.actor)
            for item in audit.audit_store.find(connection, query)
            if item.at is not None
        ]
    else:
        events = [replace(event, actor="") for event in events]
    return sorted(events, key=lambda event: event.at, reverse=True)


def _may_read(principal: Principal, acl: tuple[str, ...] | None) -> bool:
    return ADMIN in principal.scopes or admits(acl, principal.acl_entries)
