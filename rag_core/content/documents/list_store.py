"""List a tenant's documents for operators: filters, order, pages, counts, and the state of each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.ids import document_id

MAX_COUNTED = 100_000
"""Documents at which counting ends."""


class DocumentState(StrEnum):
    """The state of a document for readers of the active generation."""

    SEARCHABLE = "searchable"
    PENDING = "pending"
    DELETED = "deleted"
    WITHOUT_ACL = "without_acl"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"


class DocumentOrder(StrEnum):
    """The order of a list; the id decides between equals."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LOCATOR = "locator"
    LARGEST = "largest"


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A document in a list; version 0 means an input that was never stored, with the number of its quarantine entry."""

    doc_id: uuid.UUID
    source: str
    locator: str
    title: str
    version: int
    updated_at: datetime
    state: DocumentState
    media_type: str = ""
    bytes: int = 0
    quarantine_id: int = 0


@dataclass(frozen=True, slots=True)
class DocumentQuery:
    """A filter over documents; empty values let everything pass. `text` is a part of locator or title, or an id."""

    text: str = ""
    source: str = ""
    state: DocumentState | None = None
    media_type: str = ""
    changed_from: datetime | None = None
    changed_before: datetime | None = None
    order: DocumentOrder = DocumentOrder.NEWEST
    exclude_deleted: bool = False
    held_for_deletion: bool = False


@dataclass(frozen=True, slots=True)
class ListPosition:
    """Position before a page: after this document, or, without a `key`, after this quarantined input."""

    key: datetime | str | int | None
    doc_id: uuid.UUID | None = None
    entry: int = 0


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Documents, and where the next page begins; `None` at the end."""

    documents: tuple[DocumentSummary, ...]
    following: ListPosition | None


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """Counts of the matching documents. `more`: counting ended early, so these are minimums. Types are counted without
    the filter on types."""

    documents: int
    more: bool
    media_types: Mapping[str, int]


# The name of the active generation is a parameter: PostgreSQL inlines `pending_index` only without a subquery.
_PENDING = "EXISTS (SELECT FROM rag.pending_index(:generation) p WHERE p.doc_id = d.doc_id)"
_QUARANTINED = (
    "EXISTS (SELECT FROM rag.quarantine q WHERE q.tenant = d.tenant AND q.source = d.source"
    " AND q.locator = d.locator AND NOT q.skipped)"
)
_USABLE = f"d.deleted_at IS NULL AND NOT {_QUARANTINED}"
_IN_STATE = {
    DocumentState.DELETED: "d.deleted_at IS NOT NULL",
    DocumentState.QUARANTINED: f"d.deleted_at IS NULL AND {_QUARANTINED}",
    DocumentState.WITHOUT_ACL: f"{_USABLE} AND d.acl IS NULL",
    DocumentState.PENDING: f"{_USABLE} AND d.acl IS NOT NULL AND {_PENDING}",
    DocumentState.SEARCHABLE: f"{_USABLE} AND d.acl IS NOT NULL AND NOT {_PENDING}",
    DocumentState.SKIPPED: "false",  # of a stored document the text is kept
}
_SKIPPED = {DocumentState.QUARANTINED: "NOT q.skipped", DocumentState.SKIPPED: "q.skipped"}
"""States of inputs that were never stored."""
_KEYS = {
    DocumentOrder.NEWEST: ("d.updated_at", "DESC", "timestamptz"),
    DocumentOrder.OLDEST: ("d.updated_at", "ASC", "timestamptz"),
    DocumentOrder.LOCATOR: ("d.locator", "ASC", "text"),
    DocumentOrder.LARGEST: ("d.bytes", "DESC", "bigint"),
}
"""Column, direction and type of the key of each order."""
_SUMMARY = """
SELECT d.doc_id, d.source, d.locator, d.title, d.version, d.updated_at, CASE {states} END AS state, d.media_type,
       d.bytes
FROM {documents} d WHERE d.tenant = :tenant
"""
_STATES = " ".join(f"WHEN {found} THEN '{state}'" for state, found in _IN_STATE.items())
SUMMARY = _SUMMARY.format(states=_STATES, documents="rag.documents")
# The states of a page's rows alone: over the whole table PostgreSQL hashes every document to decide fifty.
_ROWS = "(SELECT d.* FROM rag.documents d WHERE d.tenant = :tenant {conditions} ORDER BY {order} LIMIT :limit)"
_PAGE = _SUMMARY.format(states=_STATES, documents=_ROWS)
_BY_TYPE = """
SELECT media_type, count(*) FROM (
    SELECT d.media_type FROM rag.documents d WHERE d.tenant = :tenant {conditions} LIMIT :most) AS found
GROUP BY media_type ORDER BY 2 DESC, 1
"""
_ACTIVE = text("SELECT name FROM rag.generations WHERE state = 'active'")
_MATCH = "(d.locator ILIKE :like OR d.title ILIKE :like OR d.doc_id = CAST(:doc_id AS uuid))"
_NEVER_STORED = """
FROM rag.quarantine q WHERE q.tenant = :tenant
AND NOT EXISTS (SELECT FROM rag.documents d WHERE d.tenant = q.tenant AND d.source = q.source
                AND d.locator = q.locator)
"""
_UNSTORED = f"SELECT q.id, q.source, q.locator, q.last_at, q.skipped {_NEVER_STORED}"
_COUNT_UNSTORED = f"SELECT count(*) {_NEVER_STORED}"


def active_generation(connection: Connection) -> str:
    """The name of the generation that readers are on; empty without one, for which everything is pending."""
    return str(connection.scalar(_ACTIVE) or "")


def page(
    connection: Connection, tenant: str, query: DocumentQuery, *, after: ListPosition | None = None, limit: int
) -> DocumentPage:
    """A page of documents; inputs that were never stored come after all others, newest first."""
    found: list[DocumentSummary] = []
    if after is None or after.key is not None:
        found, following = _stored(connection, tenant, query, after, limit)
        if following is not None:
            return DocumentPage(tuple(found), following)
        after = None
    unstored, following = _unstored(connection, tenant, query, after, limit - len(found))
    return DocumentPage((*found, *unstored), following)


def count(connection: Connection, tenant: str, query: DocumentQuery) -> MatchCounts:
    """Count what matches a filter, over all pages."""
    conditions, parameters = _conditions(query)
    parameters |= {"tenant": tenant, "generation": active_generation(connection), "most": MAX_COUNTED + 1}
    counted = connection.execute(text(_BY_TYPE.format(conditions=conditions)), parameters)
    types = {str(row[0]): int(row[1]) for row in counted}
    everything = sum(types.values())
    documents = types.get(query.media_type, 0) if query.media_type else everything
    if _may_be_unstored(query):
        unstored, values = _unstored_conditions(query)
        rows = text(f"{_COUNT_UNSTORED} {unstored}")
        documents += connection.scalar(rows, {"tenant": tenant} | values) or 0
    more = everything > MAX_COUNTED
    return MatchCounts(min(documents, MAX_COUNTED) if more else documents, more, types)


def summary(row: Row[Any]) -> DocumentSummary:
    """A row of `SUMMARY`."""
    return DocumentSummary(**{**row._mapping, "state": DocumentState(row.state)})


def _stored(
    connection: Connection, tenant: str, query: DocumentQuery, after: ListPosition | None, limit: int
) -> tuple[list[DocumentSummary], ListPosition | None]:
    conditions, parameters = _conditions(query)
    if query.media_type:
        conditions += " AND d.media_type = :media_type"
    column, direction, kind = _KEYS[query.order]
    if after is not None:
        conditions += f" AND ({column}, d.doc_id) {'<' if direction == 'DESC' else '>'} (CAST(:key AS {kind}), :after)"
        parameters |= {"key": after.key, "after": after.doc_id}
    order = f"{column} {direction}, d.doc_id {direction}"
    statement = f"{_PAGE.format(conditions=conditions, order=order)} ORDER BY {order}"
    parameters |= {
        "tenant": tenant,
        "generation": active_generation(connection),
        "media_type": query.media_type,
        "limit": limit + 1,
    }
    found = [summary(row) for row in connection.execute(text(statement), parameters)]
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    keys: dict[DocumentOrder, datetime | str | int] = {
        DocumentOrder.LOCATOR: last.locator,
        DocumentOrder.LARGEST: last.bytes,
    }
    return found[:limit], ListPosition(keys.get(query.order, last.updated_at), last.doc_id)


def _unstored(
    connection: Connection, tenant: str, query: DocumentQuery, after: ListPosition | None, room: int
) -> tuple[Sequence[DocumentSummary], ListPosition | None]:
    if not _may_be_unstored(query):
        return (), None
    conditions, parameters = _unstored_conditions(query)
    before = after.entry if after is not None else None
    if before is not None:
        conditions += " AND q.id < :before"
    statement = f"{_UNSTORED} {conditions} ORDER BY q.id DESC LIMIT :n"
    rows = connection.execute(text(statement), parameters | {"tenant": tenant, "before": before, "n": room + 1}).all()
    documents = [
        DocumentSummary(
            document_id(tenant, row.source, row.locator), row.source, row.locator, "", 0, row.last_at,
            DocumentState.SKIPPED if row.skipped else DocumentState.QUARANTINED, quarantine_id=row.id,
        )
        for row in rows[:room]
    ]  # fmt: skip
    if len(rows) <= room:
        return documents, None
    # With no room left the next page begins with the first of them.
    return documents, ListPosition(None, entry=rows[room - 1].id if room else rows[0].id + 1)


def _may_be_unstored(query: DocumentQuery) -> bool:
    return query.state in (None, *_SKIPPED) and not query.media_type and not query.held_for_deletion


def _conditions(query: DocumentQuery) -> tuple[str, dict[str, Any]]:
    """The filter over stored documents, but for the media type."""
    parts: list[str] = []
    if query.source:
        parts.append("AND d.source = :source")
    if query.text:
        parts.append(f"AND {_MATCH}")
    if query.state is not None:
        parts.append(f"AND {_IN_STATE[query.state]}")
    elif query.exclude_deleted:
        parts.append("AND d.deleted_at IS NULL")
    if query.held_for_deletion:
        parts.append("AND EXISTS (SELECT FROM rag.held_deletions h WHERE h.doc_id = d.doc_id)")
    times, values = _times(query, "d.updated_at")
    return " ".join([*parts, *times]), _texts(query) | values


def _unstored_conditions(query: DocumentQuery) -> tuple[str, dict[str, Any]]:
    parts = ["AND q.source = :source"] if query.source else []
    if query.text:
        parts.append("AND q.locator ILIKE :like")
    if query.state is not None:
        parts.append(f"AND {_SKIPPED[query.state]}")
    times, values = _times(query, "q.last_at")
    return " ".join([*parts, *times]), _texts(query) | values


def _texts(query: DocumentQuery) -> dict[str, Any]:
    escaped = query.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"source": query.source, "like": f"%{escaped}%", "doc_id": _id_or_none(query.text)}


def _times(query: DocumentQuery, column: str) -> tuple[list[str], dict[str, Any]]:
    parts = [f"AND {column} >= :since"] if query.changed_from is not None else []
    if query.changed_before is not None:
        parts.append(f"AND {column} < :until")
    return parts, {"since": query.changed_from, "until": query.changed_before}


def _id_or_none(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
