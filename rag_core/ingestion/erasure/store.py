"""Rows of the erasure ledger, and all tables that refer to a document."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Subject:
    """A document to erase, with its fencing version. `shard` is 0 when it is only pending in the inbox."""

    doc_id: uuid.UUID
    tenant: str
    source: str
    locator: str
    shard: int
    version: int
    source_version: int


_FIND = text("""
SELECT doc_id, tenant, source, locator, shard, version, source_version FROM rag.documents
WHERE doc_id = :doc_id AND tenant = :tenant
UNION ALL
SELECT doc_id, tenant, source, locator, 0, 0, source_version FROM rag.inbox WHERE doc_id = :doc_id AND tenant = :tenant
ORDER BY 7 DESC
""")


def find(connection: Connection, tenant: str, doc_id: uuid.UUID) -> Subject | None:
    """Find the document in any table; its version is the newest in all of them."""
    rows = [Subject(*row) for row in connection.execute(_FIND, {"doc_id": doc_id, "tenant": tenant})]
    if not rows:
        return None
    stored = max(rows, key=lambda row: row.version)
    newest = max(row.source_version for row in rows)
    return Subject(doc_id, tenant, stored.source, stored.locator, stored.shard, stored.version, newest)


_ENTER = text("""
INSERT INTO rag.erasures AS e (doc_id, tenant, source, source_version, requested_by)
VALUES (:doc_id, :tenant, :source, :version, :actor)
ON CONFLICT (doc_id) DO UPDATE
SET source_version = greatest(e.source_version, excluded.source_version), requested_by = excluded.requested_by,
    erased_at = now()
RETURNING xmax <> 0
""")
# What the first attempt found, until the receipt takes its place.
_FOUND = text("""
UPDATE rag.erasures SET receipt = CASE
    WHEN receipt->>'unfinished' = source_version::text THEN receipt
    ELSE jsonb_build_object('unfinished', source_version::text, 'found', CAST(:found AS jsonb)) END
WHERE doc_id = :doc_id RETURNING receipt->'found'
""")


def enter(connection: Connection, *, doc_id: uuid.UUID, tenant: str, source: str, version: int, actor: str) -> bool:
    """Add an erasure to the ledger; from then on only newer versions can be stored. Returns whether one was there."""
    params = {"doc_id": doc_id, "tenant": tenant, "source": source, "version": version, "actor": actor}
    return bool(connection.scalar(_ENTER, params))


def note_found(connection: Connection, doc_id: uuid.UUID, found: Mapping[str, int]) -> dict[str, int]:
    """Keep what the first attempt of an erasure found; returns that."""
    noted: dict[str, int] = connection.execute(
        _FOUND, {"doc_id": doc_id, "found": json.dumps(dict(found))}
    ).scalar_one()
    return noted


def write_receipt(connection: Connection, doc_id: uuid.UUID, receipt: Mapping[str, Any]) -> None:
    """Store the receipt with the ledger entry."""
    connection.execute(
        text("UPDATE rag.erasures SET receipt = CAST(:receipt AS jsonb) WHERE doc_id = :doc_id"),
        {"doc_id": doc_id, "receipt": json.dumps(dict(receipt))},
    )


def ledger(connection: Connection) -> list[dict[str, Any]]:
    """Every entry: `doc_id`, `tenant`, `source`, `source_version`."""
    rows = connection.execute(text("SELECT doc_id, tenant, source, source_version FROM rag.erasures ORDER BY doc_id"))
    return [dict(row._mapping) for row in rows]


_OWN = "doc_id = :doc_id"
_NAMED = "tenant = :tenant AND source = :source AND locator = :locator"
_LISTED = "locator = :locator AND listing IN (SELECT id FROM rag.listings WHERE tenant = :tenant AND source = :source)"
_CITED = "tenant = :tenant AND citations @> jsonb_build_array(jsonb_build_object('doc_id', CAST(:cited AS text)))"
_ABOUT = """tenant = :tenant
        AND (CAST(:doc_id AS uuid) = ANY(doc_ids) OR :source || '/' || :locator = ANY(sources))"""
_QUOTED = f"""run IN (SELECT id FROM rag.evaluation_runs WHERE tenant = :tenant)
        AND (CAST(:doc_id AS uuid) = ANY(doc_ids)
             OR question IN (SELECT question FROM rag.evaluation_questions WHERE {_ABOUT}))"""  # noqa: S608  constants
_PLACES: dict[str, str] = {
    "inbox": f"rag.inbox WHERE {_OWN}",
    "dead_letters": f"rag.dead_letters WHERE {_NAMED}",
    "quarantine": f"rag.quarantine WHERE {_NAMED}",
    "source_items": f"rag.source_items WHERE {_NAMED}",
    "listed_items": f"rag.listed_items WHERE {_LISTED}",
    "ratings": f"rag.ratings WHERE ({_CITED}) OR (tenant = :tenant AND right_doc_id = :doc_id)",
    # Before the questions: a result repeats the text of its question, whatever it quotes.
    "evaluation_results": f"rag.evaluation_results WHERE {_QUOTED}",
    "evaluation_questions": f"rag.evaluation_questions WHERE {_ABOUT}",
    # A preview quotes what it read. Its tenant is the caller's, who may be of the platform.
    # And a picture shows a page of it.
    "source_operations": """rag.source_operations
        WHERE action IN ('preview', 'page') AND source = :source AND result IS NOT NULL""",
    "audit_names": f"rag.audit_documents WHERE {_OWN}",
    "chunks": f"rag.chunks WHERE {_OWN}",
    "chunkings": f"rag.chunkings WHERE {_OWN}",
    "originals": f"rag.originals WHERE {_OWN}",
    "generation_documents": f"rag.generation_documents WHERE {_OWN}",
    "visibility_changes": f"rag.visibility_changes WHERE {_OWN}",
    "webhook_events": f"rag.webhook_events WHERE {_OWN}",
    "documents": f"rag.documents WHERE {_OWN}",
    # After the chunks, because their deletion adds rows here.
    "former_texts": f"rag.former_texts WHERE {_OWN}",
    # Last: vectors belong to texts, so only those that no other document uses are deleted.
    "embeddings": """rag.embeddings e WHERE e.text_hash = ANY(:texts)
        AND NOT EXISTS (SELECT FROM rag.chunks c WHERE c.text_hash = e.text_hash AND c.doc_id <> :doc_id)""",
}
"""Every location in PostgreSQL with data of a document, in the order of deletion."""


def chunk_ids(connection: Connection, doc_id: uuid.UUID) -> list[uuid.UUID]:
    """The ids of the document's chunks, of every chunker."""
    statement = text("SELECT chunk_id FROM rag.chunks WHERE doc_id = :doc_id")
    return list(connection.scalars(statement, {"doc_id": doc_id}))


def texts(connection: Connection, doc_id: uuid.UUID) -> list[bytes]:
    """The hashes of the document's current and former texts, which are the keys of their vectors."""
    statement = text(
        "SELECT text_hash FROM rag.chunks WHERE doc_id = :doc_id"
        " UNION SELECT text_hash FROM rag.former_texts WHERE doc_id = :doc_id"
    )
    return [bytes(found) for found in connection.scalars(statement, {"doc_id": doc_id})]


def remove(connection: Connection, subject: Subject, texts: Sequence[bytes]) -> None:
    """Delete every row of a document in the current transaction."""
    for rows in _PLACES.values():
        connection.execute(text(f"DELETE FROM {rows}"), _params(rows, subject, texts))  # noqa: S608  constants above


def traces(connection: Connection, subject: Subject, texts: Sequence[bytes]) -> dict[str, int]:
    """Count the document's rows in each location."""
    return {
        place: int(connection.scalar(text(f"SELECT count(*) FROM {rows}"), _params(rows, subject, texts)) or 0)  # noqa: S608
        for place, rows in _PLACES.items()
    }


def _params(statement: str, subject: Subject, texts: Sequence[bytes]) -> dict[str, Any]:
    known = {
        "texts": list(texts),
        "doc_id": subject.doc_id,
        "cited": str(subject.doc_id),
        "tenant": subject.tenant,
        "source": subject.source,
        "locator": subject.locator,
    }
    return {name: value for name, value in known.items() if f":{name}" in statement}
