"""Originals of pushed documents whose pages can be shown: nobody else has them. Those of sources are read there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class PageSource:
    """Data to read the original of a live document again, with the cited text.

    `content` is set when the platform keeps the original; `source_kind` is that of its source.
    """

    doc_id: uuid.UUID
    tenant: str
    source: str
    locator: str
    version: int
    version_tag: str
    size: int
    media_type: str
    content_hash: bytes
    updated_at: datetime
    quote: str
    source_kind: str
    content: bytes | None


def keep_pushed(connection: Connection, applied: Sequence[int], paged: Sequence[int]) -> None:
    """Keep the content of the `paged` of these changes of the inbox, and forget what the applied ones replace.

    In the transaction that stores the documents, before the inbox deletes it.
    """
    if applied:
        connection.execute(_FORGET_REPLACED, {"seqs": list(applied)})
    if paged:
        connection.execute(_KEEP, {"seqs": list(paged)})


def find(connection: Connection, tenant: str, doc_id: uuid.UUID, *, start: int, end: int) -> PageSource | None:
    """A live document with `text[start:end]`; `None` when there is none."""
    params = {"tenant": tenant, "doc_id": doc_id, "start": start + 1, "chars": max(end - start, 0)}
    row = connection.execute(_FIND, params).one_or_none()
    return None if row is None else PageSource(*row)


_FORGET_REPLACED = text(
    "DELETE FROM rag.originals o USING rag.inbox i WHERE i.seq = ANY(:seqs) AND o.doc_id = i.doc_id"
)
_KEEP = text("""
INSERT INTO rag.originals (doc_id, content)
SELECT DISTINCT ON (doc_id) doc_id, content FROM rag.inbox
WHERE seq = ANY(:seqs) AND content IS NOT NULL ORDER BY doc_id, source_version DESC
""")
_FIND = text("""
SELECT d.doc_id, d.tenant, d.source, d.locator, d.version, d.token, d.bytes, d.media_type, d.content_hash, d.updated_at,
       substr(d.text, :start, :chars), coalesce(s.kind, ''), o.content
FROM rag.documents d
LEFT JOIN rag.sources s ON s.tenant = d.tenant AND s.name = d.source
LEFT JOIN rag.originals o ON o.doc_id = d.doc_id
WHERE d.tenant = :tenant AND d.doc_id = :doc_id AND d.deleted_at IS NULL
""")
