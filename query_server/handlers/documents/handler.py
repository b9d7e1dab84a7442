"""Pushed documents: accept into the inbox, and read back within the caller's permissions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from query_server.handlers.documents import rules
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import Dependencies
from rag_core.content import documents, streams
from rag_core.errors import InvalidInput, Reason
from rag_core.governance import audit, tenants
from rag_core.governance.access import Principal
from rag_core.governance.usage import DocumentRoom
from rag_core.settings import Settings
from rag_tracing import traceparent

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.documents import VisibleDocument, VisibleSource
    from rag_core.content.streams import PushedChange, Receipt

MAX_TEXT_CHARS = 1_000_000
T = TypeVar("T")
_FIRST = str(uuid.UUID(int=0))
_SERVICE = "/ragproto.documents.v1.DocumentService"


@dataclass(frozen=True, slots=True)
class Put:
    """A document as a caller sent it, not yet checked. Either `doc_id` or `locator` names it."""

    content: bytes | None
    doc_id: str = ""
    source: str = ""
    locator: str = ""
    media_type: str = ""
    title: str = ""
    acl: Sequence[str] | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    source_version: int | None = None
    idempotency_key: str = ""
    event_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """A deletion as a caller sent it."""

    doc_id: str = ""
    source: str = ""
    locator: str = ""
    source_version: int | None = None
    idempotency_key: str = ""
    event_time: datetime | None = None


class DocumentsHandler:
    """Every call is a few statements in a thread; the tenant is the verified caller's in each of them.

    The scope `documents.write` covers every pushed document of the tenant, whatever its ACL: a service that mirrors
    a system must be able to replace and delete what it may not read. Reading always passes the ACL.
    """

    def __init__(self, settings: Settings, dependencies: Dependencies) -> None:
        self._settings = settings
        self._dependencies = dependencies
        self._room = DocumentRoom()

    async def put(self, principal: Principal, request: Put, request_id: str = "") -> Receipt:
        """Accept a document. Raises `InvalidInput`, `NotFound` (an unknown `doc_id`), and as `inbox.accept`."""
        change = self._checked(principal, request)
        return await self._accept(principal, change, request.doc_id, f"{_SERVICE}/Put", request_id)

    async def delete(self, principal: Principal, request: Delete, request_id: str = "") -> Receipt:
        """Accept a deletion. Raises `NotFound` (`DOCUMENT_NOT_FOUND`) when there is no such pushed document."""
        source, locator = _names(request.doc_id, request.source, request.locator)
        change = streams.PushedChange(
            tenant=principal.tenant,
            source=source,
            locator=locator,
            subject=principal.subject,
            source_version=rules.check_version(request.source_version),
            idempotency_key=rules.check_key(request.idempotency_key),
            event_at=request.event_time,
            traceparent=traceparent(),
        )
        return await self._accept(principal, change, request.doc_id, f"{_SERVICE}/Delete", request_id)

    async def get(self, principal: Principal, doc_id: str, *, include_text: bool) -> tuple[VisibleDocument, str, bool]:
        """A document, its text (empty unless asked for) and whether that was cut. Raises `NotFound`."""
        wanted = rules.check_doc_id(doc_id)
        who = (principal.tenant, principal.acl_entries)

        def read(connection: Connection) -> tuple[VisibleDocument, str, bool]:
            stored = documents.read_store.get(connection, *who, wanted)
            if not include_text:
                return stored, "", False
            return stored, *documents.read_store.text_of(connection, *who, wanted, chars=MAX_TEXT_CHARS)

        return await self._run(read)

    async def receive_object_events(self, principal: Principal, source: str, event: Mapping[str, Any]) -> int:
        """Store which objects of a bucket an event notification names; returns how many.

        Raises `InvalidInput` (`VALUE_INVALID`, `FIELD_INVALID`), `NotFound` (`SOURCE_NOT_FOUND`), `Exhausted`
        (`INBOX_FULL`).
        """
        rules.check_source(source)
        named = rules.check_objects(event)

        def write(connection: Connection) -> int:
            tenants.store.check_active(connection, principal.tenant)
            most = self._settings.inbox_max_pending_of_tenant
            return streams.notice_store.add(connection, principal.tenant, source, named, max_pending=most)

        return await self._run(write)

    async def page(self, principal: Principal, page: ListPage, *, source: str) -> list[VisibleDocument]:
        """Return a page of the documents that the caller may see, by id."""
        if source:
            rules.check_source(source)

        def read(connection: Connection) -> list[VisibleDocument]:
            return documents.read_store.page(
                connection,
                principal.tenant,
                principal.acl_entries,
                source=source or None,
                after=uuid.UUID(page.place or _FIRST),
                limit=page.rows,
            )

        return await self._run(read)

    async def sources(self, principal: Principal, page: ListPage) -> list[VisibleSource]:
        """The sources that hold what the caller may see, by name."""

        def read(connection: Connection) -> list[VisibleSource]:
            return documents.read_store.sources(
                connection, principal.tenant, principal.acl_entries, after=page.place or "", limit=page.rows
            )

        return await self._run(read)

    def _checked(self, principal: Principal, request: Put) -> PushedChange:
        source, locator = _names(request.doc_id, request.source, request.locator)
        return streams.PushedChange(
            tenant=principal.tenant,
            source=source,
            locator=locator,
            subject=principal.subject,
            content=rules.check_content(request.content, limit=self._settings.max_document_bytes),
            media_type=rules.check_media_type(request.media_type),
            title=rules.check_title(request.title),
            acl=rules.check_acl(request.acl),
            metadata=rules.check_metadata(dict(request.metadata)),
            source_version=rules.check_version(request.source_version),
            idempotency_key=rules.check_key(request.idempotency_key),
            event_at=request.event_time,
            traceparent=traceparent(),
        )

    async def _accept(
        self, principal: Principal, change: PushedChange, doc_id: str, method: str, request_id: str
    ) -> Receipt:
        wanted = rules.check_doc_id(doc_id) if doc_id else None

        def write(connection: Connection) -> Receipt:
            # Again, in the transaction of the push: after a suspension has committed, none is accepted.
            tenants.store.check_active(connection, principal.tenant)
            receipt, place = self._store(connection, principal, change, wanted)
            _record(connection, principal, receipt, place, method, request_id)
            return receipt

        return await self._run(write)

    def _store(
        self, connection: Connection, principal: Principal, change: PushedChange, wanted: uuid.UUID | None
    ) -> tuple[Receipt, tuple[str, str] | None]:
        """The receipt, and source and locator of the document (`None` for a deletion that was accepted before)."""
        if change.content is None:
            # Before the document is searched for: the first deletion may have been applied by now.
            known = streams.inbox_store.known_deletion(connection, change, wanted or change.doc_id)
            if known is not None:
                return known, None
        named = change
        if wanted is not None:
            source, locator = streams.inbox_store.place(connection, principal.tenant, wanted)
            named = replace(change, source=source, locator=locator)
        elif change.content is None:
            streams.inbox_store.place(connection, principal.tenant, change.doc_id)
        if change.content is not None:
            self._room.require(connection, principal.tenant, named.doc_id if wanted is None else wanted)
        receipt = streams.inbox_store.accept(
            connection,
            named,
            max_pending=self._settings.inbox_max_pending,
            max_pending_of_tenant=self._settings.inbox_max_pending_of_tenant,
        )
        return receipt, (named.source, named.locator)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        return await transact(self._dependencies.store, work)


def _record(
    connection: Connection,
    principal: Principal,
    receipt: Receipt,
    place: tuple[str, str] | None,
    method: str,
    request_id: str,
) -> None:
    """Record an accepted change, in the transaction that accepts it."""
    details = {"source_version": receipt.source_version, "request_id": request_id}
    audit.audit_store.record(
        connection,
        actor=principal.actor,
        action=method,
        target=str(receipt.doc_id),
        details=details | ({"repeated": True} if receipt.repeated else {}),
        tenant=principal.tenant,
        document=audit.audit_store.AuditedDocument(receipt.doc_id, *place) if place else None,
        doc_id=receipt.doc_id,
    )


def _names(doc_id: str, source: str, locator: str) -> tuple[str, str]:
    """Source and locator of the request; placeholders when the id decides."""
    if bool(doc_id) == bool(locator):
        raise InvalidInput(Reason.FIELD_INVALID, "doc_id: give this or locator, one of the two")
    if doc_id:
        rules.check_doc_id(doc_id)
        return rules.DEFAULT_SOURCE, str(uuid.UUID(doc_id))
    return rules.check_source(source), rules.check_locator(locator)
