"""Have one document cut, embedded and indexed again by the next run over its shard."""

from __future__ import annotations

import uuid

from sqlalchemy import Connection

from rag_core.content.chunking import store as chunking
from rag_core.content.documents import DocumentState, inspection_store
from rag_core.errors import NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.generations import store as generations


def request_reindex(
    connection: Connection, tenant: str, doc_id: uuid.UUID, *, actor: str, note: str
) -> tuple[str, list[str]]:
    """Make a stored document pending in every stage after reading; returns its source and the generations.

    Its points stay in the index until new ones have replaced them, so that searches find it meanwhile. Equal texts are
    not embedded again. Raises `NotFound` (`DOCUMENT_NOT_FOUND`), also for a deleted one, of which no text is left.
    """
    found = inspection_store.summary_of(connection, tenant, doc_id)
    if found is None or found.state is DocumentState.DELETED:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: there is no text stored under this id")
    chunking.forget_text_versions(connection, [doc_id])
    names = [generation.name for generation in generations.write_targets(connection)]
    for name in names:
        generations.clear_indexed(connection, name, [doc_id])
    document = audit.AuditedDocument(doc_id, found.source, found.locator)
    audit.record(
        connection, actor=actor, action="document.reindex", target=found.source, tenant=tenant, document=document,
        details={"reason": note} if note else {},
    )  # fmt: skip
    return found.source, names
