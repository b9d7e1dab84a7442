"""Soft-delete documents: a tombstone keeps the id and a version, but no content."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from rag_core.content.documents.store import upserted
from rag_core.governance.webhooks import outbox_store as outbox
from rag_core.ids import text_hash


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion with a source version, of a document that may be unknown."""

    doc_id: uuid.UUID
    locator: str
    source_version: int


def soft_delete(connection: Connection, run_id: str, doc_ids: Sequence[uuid.UUID]) -> int:
    """Turn documents into tombstones: delete text, title, metadata, chunks and original; keep the id and a new version.

    Returns how many were live. The tombstone is kept, so that no index generation can miss the deletion.
    """
    params = {"ids": list(doc_ids), "run_id": run_id, "empty": text_hash("")}
    deleted = list(connection.scalars(_SOFT_DELETE, params))
    connection.execute(_DROP_CHUNKS, params)
    connection.execute(_DROP_CHUNKINGS, params)
    connection.execute(_DROP_ORIGINALS, params)
    connection.execute(_DROP_QUARANTINE, params)
    outbox.record_deleted(connection, deleted)
    return len(deleted)


def soft_delete_versions(
    connection: Connection, tenant: str, source: str, shard: int, run_id: str, rows: Sequence[Deletion]
) -> int:
    """As `soft_delete`, fenced by the deletion's source version. Returns how many were live.

    An unknown document gets a tombstone too, so that an older event that arrives later cannot create it.
    """
    if not rows:
        return 0
    ordered = sorted(rows, key=lambda row: row.doc_id)
    params = {
        "tenant": tenant,
        "source": source,
        "shard": shard,
        "run_id": run_id,
        "empty": text_hash(""),
        "ids": [row.doc_id for row in ordered],
        "locators": [row.locator for row in ordered],
        "versions": [row.source_version for row in ordered],
    }
    deleted = upserted(connection, lambda: connection.execute(_SOFT_DELETE_VERSIONS, params).all())
    dropped = {"ids": [row.doc_id for row in deleted]}
    for statement in (_DROP_CHUNKS, _DROP_CHUNKINGS, _DROP_ORIGINALS, _DROP_QUARANTINE):
        connection.execute(statement, dropped)
    outbox.record_deleted(connection, [row.doc_id for row in deleted if row.was_live])
    return sum(row.was_live for row in deleted)


_SOFT_DELETE = text("""
UPDATE rag.documents
SET deleted_at = now(), version = version + 1, text_version = version + 1, source_version = version + 1, token = '',
    text = '', text_hash = :empty, content_hash = '', blocks = '[]', title = '', metadata = '{}', flags = '{}',
    bytes = 0, run_id = :run_id, updated_at = now()
WHERE doc_id IN (SELECT doc_id FROM rag.documents WHERE doc_id = ANY(:ids) AND deleted_at IS NULL
                 ORDER BY doc_id FOR UPDATE)
RETURNING doc_id
""")
_DROP_CHUNKS = text("DELETE FROM rag.chunks WHERE doc_id = ANY(:ids)")
_DROP_CHUNKINGS = text("DELETE FROM rag.chunkings WHERE doc_id = ANY(:ids)")
_DROP_ORIGINALS = text("DELETE FROM rag.originals WHERE doc_id = ANY(:ids)")
_DROP_QUARANTINE = text("""
DELETE FROM rag.quarantine q USING rag.documents d
WHERE d.doc_id = ANY(:ids) AND q.tenant = d.tenant AND q.source = d.source AND q.locator = d.locator AND NOT q.skipped
""")
# The old row is read before the update, so that `was_live` is its state before.
_SOFT_DELETE_VERSIONS = text("""
WITH gone AS (
    SELECT n.doc_id, n.locator, n.source_version,
           coalesce(d.deleted_at IS NULL, false) AND d.doc_id IS NOT NULL AS was_live
    FROM unnest(CAST(:ids AS uuid[]), CAST(:locators AS text[]), CAST(:versions AS bigint[]))
         AS n (doc_id, locator, source_version)
    LEFT JOIN rag.documents d ON d.doc_id = n.doc_id
), deleted AS (
    INSERT INTO rag.documents AS d (doc_id, tenant, source, shard, locator, version, text_version, source_version,
                                    token, parsed_as, content_hash, text_hash, bytes, media_type, text, run_id,
                                    deleted_at)
    SELECT doc_id, :tenant, :source, :shard, locator, 1, 1, source_version, '', '', '', :empty, 0, '', '', :run_id,
           now()
    FROM gone ORDER BY doc_id
    ON CONFLICT (doc_id) DO UPDATE
    SET deleted_at = coalesce(d.deleted_at, now()), source_version = excluded.source_version,
        version = d.version + (d.deleted_at IS NULL)::int, text_version = d.version + (d.deleted_at IS NULL)::int,
        token = '', text = '', text_hash = excluded.text_hash, content_hash = '', blocks = '[]', title = '',
        metadata = '{}', flags = '{}', bytes = 0, run_id = excluded.run_id, updated_at = now()
    WHERE excluded.source_version > d.source_version
    RETURNING d.doc_id
)
SELECT doc_id, was_live FROM gone JOIN deleted USING (doc_id)
""")
