"""Rows of curations, and the audited changes to them. The tenant is part of every statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update

from rag_core.database import page_of
from rag_core.database.tables import documents
from rag_core.database.tables.curations import curations
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.retrieval.curation.base import MAX_PER_TENANT, Curation, CurationAction, CurationDraft

_T, _D = curations.c, documents.c
_SHOWN = select(curations, _D.source, _D.locator).outerjoin(
    documents, (_D.doc_id == _T.doc_id) & (_D.tenant == _T.tenant) & _D.deleted_at.is_(None)
)


def revisions(connection: Connection) -> dict[str, str]:
    """Return a value for each tenant with curations that changes with them."""
    statement = select(_T.tenant, func.count(), func.max(_T.changed_at), func.sum(_T.id)).group_by(_T.tenant)
    return {row[0]: repr(tuple(row[1:])) for row in connection.execute(statement)}


def of_tenants(connection: Connection, tenants: Iterable[str]) -> Mapping[str, list[Curation]]:
    """Return the curations of tenants, by tenant and number."""
    found: dict[str, list[Curation]] = {tenant: [] for tenant in tenants}
    for row in connection.execute(_SHOWN.where(_T.tenant.in_(list(found))).order_by(_T.id)):
        found[row.tenant].append(_curation(row))
    return found


def listed(
    connection: Connection,
    tenant: str,
    *,
    limit: int,
    acl: Sequence[str] | None = None,
    after: Sequence[Any] | None = None,
) -> list[Curation]:
    """Curations, newest first. With `acl`, those that count for a caller with these entries, of visible documents."""
    statement = page_of(_SHOWN.where(_T.tenant == tenant), [_T.id], after=after, limit=limit, newest_first=True)
    return list(map(_curation, connection.execute(_admitting(statement, acl))))


def get(connection: Connection, tenant: str, number: int, *, acl: Sequence[str] | None = None) -> Curation:
    """One curation, with `acl` as `listed`. Raises `NotFound` (`CURATION_NOT_FOUND`)."""
    row = connection.execute(_admitting(_SHOWN.where(_T.tenant == tenant, _T.id == number), acl)).one_or_none()
    if row is None:
        raise NotFound(Reason.CURATION_NOT_FOUND, "curation: there is none with this number")
    return _curation(row)


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('curations of ' || :tenant, 0))")


def create(connection: Connection, tenant: str, draft: CurationDraft, *, actor: str, why: str = "") -> Curation:
    """Store a draft that was checked. Raises `Conflict` (`CURATION_LIMIT`)."""
    connection.execute(_LOCK, {"tenant": tenant})
    if (connection.scalar(select(func.count()).where(_T.tenant == tenant)) or 0) >= MAX_PER_TENANT:
        raise Conflict(Reason.CURATION_LIMIT, f"a tenant has {MAX_PER_TENANT} curations at most; remove one first")
    made = insert(curations).values(tenant=tenant, **_values(draft, actor)).returning(_T.id)
    return _audited(connection, "curation.create", tenant, int(connection.execute(made).scalar_one()), actor, why)


def change(connection: Connection, curation: Curation, draft: CurationDraft, *, actor: str, why: str = "") -> Curation:
    """Replace all of a curation but its number."""
    values = _values(draft, actor) | {"changed_at": func.now()}
    connection.execute(update(curations).where(_T.id == curation.id).values(values))
    return _audited(connection, "curation.change", curation.tenant, curation.id, actor, why)


def remove(connection: Connection, curation: Curation, *, actor: str, why: str = "") -> None:
    """Delete a curation."""
    _audited(connection, "curation.remove", curation.tenant, curation.id, actor, why)
    connection.execute(delete(curations).where(_T.id == curation.id))


def require_document(connection: Connection, tenant: str, draft: CurationDraft, acl: Sequence[str] | None) -> None:
    """Raise `NotFound` (`DOCUMENT_NOT_FOUND`) unless the document of a draft is there, and visible with `acl`."""
    if draft.doc_id is None:
        return
    statement = select(_D.doc_id).where(_D.tenant == tenant, _D.doc_id == draft.doc_id, _D.deleted_at.is_(None))
    if acl is not None:
        statement = statement.where(text("rag.admits(documents.acl, CAST(:acl AS text[]))").bindparams(acl=list(acl)))
    if connection.scalar(statement) is None:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "doc_id: there is no such document, or not for you")


def _values(draft: CurationDraft, actor: str) -> dict[str, Any]:
    return {
        "questions": list(draft.questions),
        "action": draft.action.value,
        "answer": draft.answer,
        "doc_id": draft.doc_id,
        "acl": list(draft.acl),
        "owner": draft.owner,
        "ends_at": draft.ends_at,
        "changed_by": actor,
    }


def _admitting(statement: Any, acl: Sequence[str] | None) -> Any:
    if acl is None:
        return statement
    return statement.where(text(_VISIBLE).bindparams(acl=list(acl)))


_VISIBLE = """rag.admits(curations.acl, CAST(:acl AS text[]))
AND (documents.doc_id IS NULL OR rag.admits(documents.acl, CAST(:acl AS text[])))"""


def _audited(connection: Connection, action: str, tenant: str, number: int, actor: str, why: str) -> Curation:
    """Record an action on a curation, which is returned as it is then. The entry has neither question nor answer."""
    found = get(connection, tenant, number)
    details = {"action": found.action.value, "acl": list(found.acl), "owner": found.owner}
    details |= {"ends_at": found.ends_at.isoformat()} if found.ends_at else {}
    details |= {"reason": why} if why else {}
    audit.record(
        connection, actor=actor, action=action, target=str(number), details=details, tenant=tenant, doc_id=found.doc_id
    )
    return found


def _curation(row: Row[Any]) -> Curation:
    values = dict(row._mapping)
    lists = {"questions": tuple(values["questions"]), "acl": tuple(values["acl"])}
    action = CurationAction(values["action"])
    return Curation(**{**values, **lists, "action": action, "source": row.source or "", "locator": row.locator or ""})
