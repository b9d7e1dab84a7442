"""Read documents: lookup under an ACL for callers, and inspection down to chunks for operators."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.errors import NotFound, Reason
from rag_core.ids import document_id

# --------------------------------------------------------------------------------------------------------------------
# Inspection for operators: find documents, and show a document's state, chunks and indexed versions.


class DocumentState(StrEnum):
    """The state of a document for readers of the active generation."""

    SEARCHABLE = "searchable"
    PENDING = "pending"
    DELETED = "deleted"
    WITHOUT_ACL = "without_acl"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A document in a list; version 0 means an input that was never stored."""

    doc_id: uuid.UUID
    source: str
    locator: str
    title: str
    version: int
    updated_at: datetime
    state: DocumentState


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk of the active generation's chunker; `embedded` says whether its vector is stored."""

    chunk_id: uuid.UUID
    ordinal: int
    start: int
    end: int
    headings: tuple[str, ...]
    tokens: int
    embedded: bool


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """The version of a document that a generation has indexed, 0 for none."""

    generation: str
    state: str
    indexed_version: int


@dataclass(frozen=True, slots=True)
class DocumentDetails:
    """Everything stored about one document. `acl=None`: the ACL is unknown and nobody may see it."""

    found: DocumentSummary
    media_type: str
    language: str
    bytes: int
    acl: tuple[str, ...] | None
    acl_inherited: bool
    metadata: Mapping[str, str]
    flags: tuple[str, ...]
    run_id: str
    deleted_at: datetime | None
    text: str
    spans: tuple[Span, ...]
    held: tuple[IndexedVersion, ...]


_ROWS = """
WITH active AS (SELECT name FROM rag.generations WHERE state = 'active'),
found AS (
    SELECT doc_id, source, locator, title, version, updated_at, deleted_at, acl
    FROM rag.documents d WHERE d.tenant = :tenant AND {condition}
    ORDER BY updated_at DESC, doc_id LIMIT :limit
)
SELECT f.*, p.doc_id IS NOT NULL AS pending,
       EXISTS (SELECT FROM rag.quarantine q WHERE q.tenant = :tenant AND q.source = f.source
               AND q.locator = f.locator AND NOT q.skipped) AS quarantined
FROM found f
LEFT JOIN active a ON true
LEFT JOIN LATERAL rag.pending_index(a.name) p ON p.doc_id = f.doc_id
ORDER BY f.updated_at DESC, f.doc_id
"""
_MATCHING = text(
    _ROWS.format(
        condition="(:source = '' OR d.source = :source) AND (:text = '' OR d.locator ILIKE :like"
        " OR d.title ILIKE :like OR d.doc_id = CAST(:doc_id AS uuid))"
    )
)
_ONE = text(_ROWS.format(condition="d.doc_id = :doc_id"))
_UNSTORED = text("""
SELECT q.source, q.locator, q.last_at FROM rag.quarantine q
WHERE q.tenant = :tenant AND NOT q.skipped AND (:source = '' OR q.source = :source)
AND (:text = '' OR q.locator ILIKE :like)
AND NOT EXISTS (SELECT FROM rag.documents d WHERE d.tenant = q.tenant AND d.source = q.source
                AND d.locator = q.locator)
ORDER BY q.last_at DESC LIMIT :limit
""")


def find(connection: Connection, tenant: str, *, wanted: str, source: str, limit: int) -> list[DocumentSummary]:
    """Documents by part of their locator or title, or by id, newest change first; then inputs never stored."""
    parameters = {
        "tenant": tenant,
        "source": source,
        "text": wanted,
        "like": f"%{_escaped(wanted)}%",
        "limit": limit,
        "doc_id": _id_or_none(wanted),
    }
    found = [_found(row) for row in connection.execute(_MATCHING, parameters)]
    room = limit - len(found)
    if room <= 0:
        return found
    unstored = connection.execute(_UNSTORED, parameters | {"limit": room})
    return found + [
        DocumentSummary(
            document_id(tenant, row.source, row.locator), row.source, row.locator, "", 0, row.last_at,
            DocumentState.QUARANTINED,
        )
        for row in unstored
    ]  # fmt: skip


_REST = text("""
SELECT media_type, language, bytes, acl, acl_inherited, metadata, flags, run_id, deleted_at, text
FROM rag.documents WHERE doc_id = :doc_id
""")
_SPANS = text("""
SELECT c.chunk_id, c.ordinal, c.start, c."end", c.headings, c.tokens,
       EXISTS (SELECT FROM rag.embeddings e WHERE e.text_hash = c.text_hash AND e.embedder = a.embedder) AS embedded
FROM rag.generations a JOIN rag.chunks c ON c.chunker = a.chunker
WHERE a.state = 'active' AND c.doc_id = :doc_id ORDER BY c.ordinal
""")
_INDEXED_VERSIONS = text("""
SELECT g.name, g.state, coalesce(d.indexed_version, 0)
FROM rag.generations g LEFT JOIN rag.generation_documents d ON d.generation = g.name AND d.doc_id = :doc_id
ORDER BY g.created_at DESC
""")


def inspect(connection: Connection, tenant: str, doc_id: uuid.UUID) -> DocumentDetails | None:
    """One document of the tenant; `None` when it does not exist."""
    parameters = {"tenant": tenant, "doc_id": doc_id, "limit": 1}
    row = connection.execute(_ONE, parameters).one_or_none()
    if row is None:
        return None
    rest = connection.execute(_REST, {"doc_id": doc_id}).one()
    spans = connection.execute(_SPANS, {"doc_id": doc_id})
    held = connection.execute(_INDEXED_VERSIONS, {"doc_id": doc_id})
    return DocumentDetails(
        found=_found(row),
        media_type=rest.media_type,
        language=rest.language,
        bytes=rest.bytes,
        acl=tuple(rest.acl) if rest.acl is not None else None,
        acl_inherited=rest.acl_inherited,
        metadata=rest.metadata,
        flags=tuple(rest.flags),
        run_id=rest.run_id,
        deleted_at=rest.deleted_at,
        text=rest.text,
        spans=tuple(_span(row) for row in spans),
        held=tuple(IndexedVersion(*generation) for generation in held),
    )


def _span(row: Row[Any]) -> Span:
    headings = tuple(row.headings)
    return Span(row.chunk_id, row.ordinal, row.start, row.end, headings, row.tokens, row.embedded)


def _found(row: Row[Any]) -> DocumentSummary:
    state = _state(row._mapping)
    return DocumentSummary(row.doc_id, row.source, row.locator, row.title, row.version, row.updated_at, state)


def _state(values: Mapping[Any, Any]) -> DocumentState:
    if values["deleted_at"] is not None:
        return DocumentState.DELETED
    if values["quarantined"]:
        return DocumentState.QUARANTINED
    if values["acl"] is None:
        return DocumentState.WITHOUT_ACL
    return DocumentState.PENDING if values["pending"] else DocumentState.SEARCHABLE


def _escaped(wanted: str) -> str:
    return wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _id_or_none(wanted: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(wanted)
    except ValueError:
        return None


# --------------------------------------------------------------------------------------------------------------------
# Lookup for callers: tenant and ACL are part of every statement.


@dataclass(frozen=True, slots=True)
class VisibleDocument:
    """A live document. `searchable`: this version is in the active generation. `pending`: a newer change waits."""

    doc_id: uuid.UUID
    source: str
    locator: str
    title: str
    media_type: str
    language: str
    version: int
    source_version: int
    bytes: int
    updated_at: datetime
    metadata: Mapping[str, str]
    searchable: bool
    pending: bool


_COLUMNS = """
SELECT d.doc_id, d.source, d.locator, d.title, d.media_type, d.language, d.version, d.source_version, d.bytes,
       d.updated_at, d.metadata,
       EXISTS (SELECT FROM rag.generations g WHERE g.state = 'active' AND NOT EXISTS (
               SELECT FROM rag.pending_index(g.name) p WHERE p.doc_id = d.doc_id)),
       EXISTS (SELECT FROM rag.inbox i WHERE i.doc_id = d.doc_id AND i.applied_at IS NULL)
FROM rag.documents d
WHERE d.tenant = :tenant AND d.deleted_at IS NULL AND d.acl && CAST(:acl AS text[])
"""
_GET = text(f"{_COLUMNS} AND d.doc_id = :doc_id")
_LIST = text(
    f"{_COLUMNS} AND d.doc_id > :after AND (CAST(:source AS text) IS NULL OR d.source = :source)"
    " ORDER BY d.doc_id LIMIT :limit"
)
_TEXT = text("""
SELECT substr(text, 1, :chars), length(text) > :chars FROM rag.documents d
WHERE d.tenant = :tenant AND d.doc_id = :doc_id AND d.deleted_at IS NULL AND d.acl && CAST(:acl AS text[])
""")


def get(connection: Connection, tenant: str, acl: Sequence[str], doc_id: uuid.UUID) -> VisibleDocument:
    """One document. Raises `NotFound` (`DOCUMENT_NOT_FOUND`), also when the caller may not see it."""
    params = {"tenant": tenant, "acl": list(acl), "doc_id": doc_id}
    row = connection.execute(_GET, params).one_or_none()
    if row is None:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: not found")
    return VisibleDocument(*row)


def text_of(
    connection: Connection, tenant: str, acl: Sequence[str], doc_id: uuid.UUID, *, chars: int
) -> tuple[str, bool]:
    """The first `chars` characters of a document's text, and whether there is more. Raises as `get`."""
    params = {"tenant": tenant, "acl": list(acl), "doc_id": doc_id, "chars": chars}
    row = connection.execute(_TEXT, params).one_or_none()
    if row is None:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: not found")
    return str(row[0]), bool(row[1])


def page(
    connection: Connection, tenant: str, acl: Sequence[str], *, source: str | None, after: uuid.UUID, limit: int
) -> list[VisibleDocument]:
    """The next page of documents, by id."""
    params = {"tenant": tenant, "acl": list(acl), "source": source, "after": after, "limit": limit}
    return [VisibleDocument(*row) for row in connection.execute(_LIST, params)]
