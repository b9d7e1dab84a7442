"""Removing a source: what there is of it, the ids of its documents, and its own rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class SourceContents:
    """Counts of what belongs to a source. `pending`: deletions that an index has still to apply."""

    documents: int
    chunks: int
    quarantined: int
    remembered: int
    pending: int


_COUNT = text("""
SELECT (SELECT count(*) FROM rag.documents WHERE tenant = :tenant AND source = :source AND deleted_at IS NULL),
       (SELECT count(*) FROM rag.chunks c JOIN rag.documents d USING (doc_id)
        WHERE d.tenant = :tenant AND d.source = :source),
       (SELECT count(*) FROM rag.quarantine WHERE tenant = :tenant AND source = :source),
       (SELECT count(*) FROM rag.source_items WHERE tenant = :tenant AND source = :source),
       (SELECT count(*) FROM rag.visibility_changes WHERE tenant = :tenant AND source = :source)
""")
_LIVE = text("""
SELECT shard, doc_id FROM rag.documents
WHERE tenant = :tenant AND source = :source AND deleted_at IS NULL ORDER BY shard, doc_id LIMIT :page
""")
_SHARDS = text("SELECT DISTINCT shard FROM rag.documents WHERE tenant = :tenant AND source = :source ORDER BY shard")
_FORGET = tuple(
    text(f"DELETE FROM rag.{table} WHERE tenant = :tenant AND {column} = :source")  # noqa: S608  constants below
    for table, column in (
        ("quarantine", "source"),
        ("source_items", "source"),
        ("held_deletions", "source"),
        ("reading_progress", "source"),
        ("source_runs", "source"),
        ("sources", "name"),
    )
)


def count(connection: Connection, tenant: str, source: str) -> SourceContents:
    """Count what belongs to a source now."""
    return SourceContents(*connection.execute(_COUNT, {"tenant": tenant, "source": source}).one())


def live_documents(connection: Connection, tenant: str, source: str, page: int) -> list[uuid.UUID]:
    """The ids of a page of documents that are not deleted."""
    found = connection.execute(_LIVE, {"tenant": tenant, "source": source, "page": page})
    return [row.doc_id for row in found]


def shards(connection: Connection, tenant: str, source: str) -> Iterator[int]:
    """The shards that have rows of documents."""
    yield from connection.scalars(_SHARDS, {"tenant": tenant, "source": source}).all()


def forget(connection: Connection, tenant: str, source: str) -> None:
    """Delete the source's own rows. Tombstones stay, so that no index generation can miss a deletion."""
    for statement in _FORGET:
        connection.execute(statement, {"tenant": tenant, "source": source})
