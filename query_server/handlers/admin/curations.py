"""Curations for the editors of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.handlers.admin.rules import check_text_field, editable_acl
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.governance.access import Principal
from rag_core.retrieval import curation
from rag_core.retrieval.curation import Curation, CurationDraft, check_draft

if TYPE_CHECKING:
    from sqlalchemy import Connection


class CurationsHandler:
    """Works on the caller's tenant. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def listed(self, principal: Principal, page: ListPage) -> list[Curation]:
        """Curations that count for the caller, of documents that it may see; for an admin all. Newest first."""
        acl = editable_acl(principal)
        return await transact(
            self._store,
            lambda db: curation.store.listed(db, principal.tenant, limit=page.rows, acl=acl, after=page.after),
        )

    async def save(self, principal: Principal, number: int, draft: CurationDraft, why: str) -> Curation:
        """Store a draft as a new curation, or instead of the one with this number.

        Raises `InvalidInput` (`FIELD_INVALID`), `NotFound` (`CURATION_NOT_FOUND`, `DOCUMENT_NOT_FOUND` for a document
        that the caller may not see), and `Conflict` (`CURATION_LIMIT`).
        """
        for name, texts in (("questions", draft.questions), ("acl", draft.acl)):
            for one in texts:
                check_text_field(name, one)
        check_text_field("answer", draft.answer, limit=100_000)
        check_text_field("owner", draft.owner)
        check_text_field("reason", why)
        checked = check_draft(draft, editor=principal.actor)

        def write(connection: Connection) -> Curation:
            curation.store.require_document(connection, principal.tenant, checked, principal.acl_entries)
            if not number:
                return curation.store.create(connection, principal.tenant, checked, actor=principal.actor, why=why)
            known = curation.store.get(connection, principal.tenant, number, acl=editable_acl(principal))
            return curation.store.change(connection, known, checked, actor=principal.actor, why=why)

        return await transact(self._store, write)

    async def remove(self, principal: Principal, number: int, why: str) -> None:
        """Delete a curation. Raises `NotFound` (`CURATION_NOT_FOUND`)."""
        check_text_field("reason", why)

        def write(connection: Connection) -> None:
            known = curation.store.get(connection, principal.tenant, number, acl=editable_acl(principal))
            curation.store.remove(connection, known, actor=principal.actor, why=why)

        await transact(self._store, write)
