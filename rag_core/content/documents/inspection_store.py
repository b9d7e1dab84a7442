"""One document for operators: everything stored of it, down to chunks and indexed versions, and its history."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from rag_core.content.documents.list_store import SUMMARY, DocumentSummary, active_generation, summary
from rag_core.errors import NotFound, Reason

MAX_COPIES = 10
MAX_EVENTS = 50
"""Pushes that are shown at most."""


@dataclass(frozen=True, slots=True)
class ChunkSpan:
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
    """The version of a document that a generation has indexed, 0 for none, and since when."""

    generation: str
    state: str
    indexed_version: int
    indexed_at: datetime | None


class EventKind(StrEnum):
    """Kinds of events in the history of a document."""

    STORED = "stored"
    CHANGED = "changed"
    INDEXED = "indexed"
    DELETED = "deleted"
    QUARANTINED = "quarantined"
    PUSHED = "pushed"
    CITED = "cited"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class DocumentEvent:
    """Something that happened to a document; `detail` is a generation, reason code, action or outcome."""

    at: datetime
    kind: EventKind
    version: int = 0
    run_id: str = ""
    detail: str = ""
    actor: str = ""
    times: int = 0


@dataclass(frozen=True, slots=True)
class Citations:
    """Rated answers that cite a document."""

    count: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class DocumentDetails:
    """Everything stored about one document. `acl=None`: the ACL is unknown and nobody may see it."""

    found: DocumentSummary
    language: str
    acl: tuple[str, ...] | None
    acl_inherited: bool
    metadata: Mapping[str, str]
    flags: tuple[str, ...]
    run_id: str
    deleted_at: datetime | None
    created_at: datetime | None
    text: str
    spans: tuple[ChunkSpan, ...]
    held: tuple[IndexedVersion, ...]
    pushed: bool
    pushes: tuple[DocumentEvent, ...]
    change_pending: bool
    revocation_pending: bool
    citations: Citations
    copies: tuple[str, ...] = ()
    """Other documents of the tenant with the same text, as SOURCE/LOCATOR; `MAX_COPIES` at most."""


_ONE = text(f"{SUMMARY} AND d.doc_id = :doc_id")
_REST = text("""
SELECT d.language, d.acl, d.acl_inherited, d.metadata, d.flags, d.run_id, d.deleted_at, d.created_at, d.text,
       EXISTS (SELECT FROM rag.sources s WHERE s.tenant = d.tenant AND s.name = d.source AND s.kind = 'push') AS pushed,
       EXISTS (SELECT FROM rag.inbox i WHERE i.doc_id = d.doc_id AND i.applied_at IS NULL) AS change_pending,
       EXISTS (SELECT FROM rag.visibility_changes v WHERE v.doc_id = d.doc_id AND v.restricts) AS revocation_pending
FROM rag.documents d WHERE d.doc_id = :doc_id
""")
_SPANS = text("""
SELECT c.chunk_id, c.ordinal, c.start, c."end", c.headings, c.tokens,
       EXISTS (SELECT FROM rag.embeddings e WHERE e.text_hash = c.text_hash AND e.embedder = a.embedder) AS embedded
FROM rag.generations a JOIN rag.chunks c ON c.chunker = a.chunker
WHERE a.state = 'active' AND c.doc_id = :doc_id ORDER BY c.ordinal
""")
_INDEXED_VERSIONS = text("""
SELECT g.name, g.state, coalesce(d.indexed_version, 0), d.indexed_at
FROM rag.generations g LEFT JOIN rag.generation_documents d ON d.generation = g.name AND d.doc_id = :doc_id
ORDER BY g.created_at DESC
""")
_PUSHES = text("""
SELECT received_at, operation, source_version, outcome, subject FROM rag.inbox
WHERE doc_id = :doc_id ORDER BY seq DESC LIMIT :most
""")
_CITED = text("""
SELECT count(*), max(at) FROM rag.ratings WHERE tenant = :tenant AND citations @> CAST(:cited AS jsonb)
""")


_COPIES = text("""
SELECT o.source || '/' || o.locator FROM rag.documents d
JOIN rag.documents o ON o.tenant = d.tenant AND o.text_hash = d.text_hash AND o.doc_id <> d.doc_id
WHERE d.doc_id = :doc_id AND d.deleted_at IS NULL AND o.deleted_at IS NULL ORDER BY 1 LIMIT :most
""")


def inspect(connection: Connection, tenant: str, doc_id: uuid.UUID) -> DocumentDetails | None:
    """One document of the tenant; `None` when it does not exist."""
    found, one = summary_of(connection, tenant, doc_id), {"doc_id": doc_id}
    if found is None:
        return None
    rest = connection.execute(_REST, one).one()
    pushes = connection.execute(_PUSHES, one | {"most": MAX_EVENTS})
    cited = json.dumps([{"doc_id": str(doc_id)}])
    acl = tuple(rest.acl) if rest.acl is not None else None
    return DocumentDetails(
        found=found,
        **{**rest._mapping, "acl": acl, "flags": tuple(rest.flags)},
        spans=tuple(_span(row) for row in connection.execute(_SPANS, one)),
        held=tuple(IndexedVersion(*generation) for generation in connection.execute(_INDEXED_VERSIONS, one)),
        pushes=tuple(_push(row) for row in pushes),
        citations=Citations(*connection.execute(_CITED, {"tenant": tenant, "cited": cited}).one()),
        copies=tuple(connection.scalars(_COPIES, one | {"most": MAX_COPIES})),
    )


@dataclass(frozen=True, slots=True)
class AccessRow:
    """The facts that decide who finds a document. `indexed_version` 0: the active generation does not have it."""

    source: str
    kind: str
    locator: str
    version: int
    acl: tuple[str, ...] | None
    acl_inherited: bool
    updated_at: datetime
    deleted_at: datetime | None
    generation: str
    indexed_version: int
    indexed_at: datetime | None


_ACCESS = text("""
SELECT d.source, coalesce(s.kind, ''), d.locator, d.version, d.acl, d.acl_inherited, d.updated_at, d.deleted_at,
       coalesce(g.name, ''), coalesce(m.indexed_version, 0), m.indexed_at
FROM rag.documents d LEFT JOIN rag.sources s ON s.tenant = d.tenant AND s.name = d.source
LEFT JOIN rag.generations g ON g.state = 'active'
LEFT JOIN rag.generation_documents m ON m.generation = g.name AND m.doc_id = d.doc_id
WHERE d.tenant = :tenant AND d.doc_id = :doc_id
""")


def access(connection: Connection, tenant: str, doc_id: uuid.UUID) -> AccessRow:
    """Return who may see a document of the tenant. Raises `NotFound` (`DOCUMENT_NOT_FOUND`)."""
    row = connection.execute(_ACCESS, {"tenant": tenant, "doc_id": doc_id}).one_or_none()
    if row is None:
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: there is none with this id")
    source, kind, locator, version, acl, *rest = row
    return AccessRow(source, kind, locator, version, None if acl is None else tuple(acl), *rest)


def summary_of(connection: Connection, tenant: str, doc_id: uuid.UUID) -> DocumentSummary | None:
    """One document of the tenant as in a list; `None` when it does not exist."""
    parameters = {"tenant": tenant, "doc_id": doc_id, "generation": active_generation(connection)}
    row = connection.execute(_ONE, parameters).one_or_none()
    return summary(row) if row is not None else None


def history(details: DocumentDetails) -> list[DocumentEvent]:
    """Return the history of a document as its rows record it, newest first."""
    version, run_id = details.found.version, details.run_id
    events = [*details.pushes]
    if details.created_at is not None:
        events.append(DocumentEvent(details.created_at, EventKind.STORED))
    if details.deleted_at is not None:
        events.append(DocumentEvent(details.deleted_at, EventKind.DELETED, version, run_id))
    else:
        events.append(DocumentEvent(details.found.updated_at, EventKind.CHANGED, version, run_id))
    events += [
        DocumentEvent(item.indexed_at, EventKind.INDEXED, item.indexed_version, detail=item.generation)
        for item in details.held
        if item.indexed_at is not None and item.indexed_version
    ]
    if details.citations.last_at is not None:
        events.append(DocumentEvent(details.citations.last_at, EventKind.CITED, times=details.citations.count))
    return sorted(events, key=lambda event: event.at, reverse=True)


def _span(row: Row[Any]) -> ChunkSpan:
    headings = tuple(row.headings)
    return ChunkSpan(row.chunk_id, row.ordinal, row.start, row.end, headings, row.tokens, row.embedded)


def _push(row: Row[Any]) -> DocumentEvent:
    detail = row.outcome or "waiting"
    return DocumentEvent(row.received_at, EventKind.PUSHED, row.source_version, detail=detail, actor=row.subject)
