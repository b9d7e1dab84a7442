"""Look documents up for callers: tenant and ACL are part of every statement."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from rag_core.errors import NotFound, Reason

MAX_COUNTED = 10_000
"""Documents of a source that are counted for a listing of sources."""


@dataclass(frozen=True, slots=True)
class VisibleSource:
    """A source that holds documents the caller may see, and their number, at most `MAX_COUNTED`."""

    name: str
    documents: int


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
WHERE d.tenant = :tenant AND d.deleted_at IS NULL AND rag.admits(d.acl, CAST(:acl AS text[]))
"""
_GET = text(f"{_COLUMNS} AND d.doc_id = :doc_id")
_LIST = text(
    f"{_COLUMNS} AND d.doc_id > :after AND (CAST(:source AS text) IS NULL OR d.source = :source)"
    " ORDER BY d.doc_id LIMIT :limit"
)
# The names by a walk over the index, a step per source; each source is counted up to a limit.
_SOURCES = text("""
WITH RECURSIVE names(source) AS (
  (SELECT source FROM rag.documents WHERE tenant = :tenant AND source > :after ORDER BY source LIMIT 1)
  UNION ALL
  SELECT (SELECT d.source FROM rag.documents d WHERE d.tenant = :tenant AND d.source > names.source
          ORDER BY d.source LIMIT 1)
  FROM names WHERE names.source IS NOT NULL
)
SELECT names.source, seen.documents FROM names CROSS JOIN LATERAL (
  SELECT count(*) AS documents FROM (
    SELECT FROM rag.documents d
    WHERE d.tenant = :tenant AND d.source = names.source AND d.deleted_at IS NULL
      AND rag.admits(d.acl, CAST(:acl AS text[]))
    LIMIT :most
  ) visible
) seen
WHERE names.source IS NOT NULL AND seen.documents > 0
ORDER BY names.source LIMIT :limit
""")
_TEXT = text("""
SELECT substr(text, 1, :chars), length(text) > :chars FROM rag.documents d
WHERE d.tenant = :tenant AND d.doc_id = :doc_id AND d.deleted_at IS NULL AND rag.admits(d.acl, CAST(:acl AS text[]))
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


def sources(connection: Connection, tenant: str, acl: Sequence[str], *, after: str, limit: int) -> list[VisibleSource]:
    """The next page of sources with documents that the caller may see, by name."""
    params = {"tenant": tenant, "acl": list(acl), "after": after, "limit": limit, "most": MAX_COUNTED}
    return [VisibleSource(*row) for row in connection.execute(_SOURCES, params)]


MAX_VALUES = 2000
_VALUES = text("""
SELECT 'source' AS field, source AS value FROM rag.documents
WHERE tenant = :tenant AND deleted_at IS NULL GROUP BY source
UNION ALL
(SELECT 'metadata.' || f.name, d.metadata->>f.name
 FROM rag.documents d CROSS JOIN unnest(CAST(:names AS text[])) AS f(name)
 WHERE d.tenant = :tenant AND d.deleted_at IS NULL AND length(d.metadata->>f.name) BETWEEN 1 AND :chars
 GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT :most)
""")


def filter_values(connection: Connection, tenant: str, names: Sequence[str], *, chars: int) -> list[tuple[str, str]]:
    """Fields and values that filters of a tenant can name: its sources, and the most frequent values of metadata."""
    params = {"tenant": tenant, "names": list(names), "chars": chars, "most": MAX_VALUES}
    return [(row.field, row.value) for row in connection.execute(_VALUES, params)]
