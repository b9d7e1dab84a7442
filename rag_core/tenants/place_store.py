"""Rows of a tenant in every place: counted, written out, deleted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, text

from rag_core.tenants.places import PLACES, Place

PAGE: Final = 500


def count(connection: Connection, tenant: str) -> dict[str, int]:
    """Rows of a tenant by table; tables without any are left out."""
    found = {place.table: _count(connection, place, tenant) for place in PLACES}
    return {table: rows for table, rows in found.items() if rows}


def _count(connection: Connection, place: Place, tenant: str) -> int:
    statement = text(f"SELECT count(*) FROM rag.{place.table} t WHERE {place.mine}")  # noqa: S608  constants
    return int(connection.scalar(statement, {"tenant": tenant}) or 0)


def lines(connection: Connection, place: Place, tenant: str) -> Iterator[str]:
    """The rows of a place as JSON, one at a time, without what is left out of an export."""
    order = f" ORDER BY {place.order}" if place.order else ""
    statement = text(
        f"SELECT (to_jsonb(t) - CAST(:without AS text[]))::text FROM rag.{place.table} t WHERE {place.mine}{order}"  # noqa: S608
    )
    params = {"tenant": tenant, "without": list(place.without)}
    streamed = connection.execution_options(yield_per=PAGE).execute(statement, params)
    for (line,) in streamed:
        yield line


def delete_rows(connection: Connection, tenant: str) -> None:
    """Delete what does not go document by document, in the current transaction."""
    for place in PLACES:
        if not place.with_documents and not place.kept:
            statement = text(f"DELETE FROM rag.{place.table} t WHERE {place.mine}")  # noqa: S608  constants
            connection.execute(statement, {"tenant": tenant})


# --------------------------------------------------------------------------------------------------------------------
# Documents, page by page: memory does not grow with their number, and each page is a transaction.


_SOURCES = text("""
SELECT name FROM rag.sources WHERE tenant = :tenant UNION SELECT source FROM rag.source_states WHERE tenant = :tenant
UNION SELECT DISTINCT source FROM rag.documents WHERE tenant = :tenant
UNION SELECT DISTINCT source FROM rag.inbox WHERE tenant = :tenant
ORDER BY 1
""")
_DOCUMENTS = text("""
SELECT doc_id, version FROM rag.documents WHERE tenant = :tenant AND source = :source ORDER BY doc_id LIMIT :page
""")
_CHUNKS = text("SELECT chunk_id FROM rag.chunks WHERE doc_id = ANY(:ids)")
_TEXTS = text("""
SELECT text_hash FROM rag.chunks WHERE doc_id = ANY(:ids)
UNION SELECT text_hash FROM rag.former_texts WHERE doc_id = ANY(:ids)
""")
# Vectors belong to texts, which another document may have too, also one of another tenant.
_VECTORS = text("""
DELETE FROM rag.embeddings e WHERE e.text_hash = ANY(:texts)
    AND NOT EXISTS (SELECT FROM rag.chunks c WHERE c.text_hash = e.text_hash)
""")
_BY_DOCUMENT = ("chunks", "chunkings", "generation_documents", "visibility_changes", "documents", "former_texts")
"""`former_texts` last: a trigger fills it when chunks are deleted."""


_OWN_SOURCES = text("""
SELECT name FROM rag.sources WHERE tenant = :tenant AND kind <> 'push'
UNION SELECT source FROM rag.source_states WHERE tenant = :tenant ORDER BY 1
""")


def own_sources(connection: Connection, tenant: str) -> list[str]:
    """The sources of a tenant that have runs: no other tenant has one of the same name."""
    return list(connection.scalars(_OWN_SOURCES, {"tenant": tenant}))


def sources(connection: Connection, tenant: str) -> list[str]:
    """The names of everything that holds or held documents of a tenant."""
    return list(connection.scalars(_SOURCES, {"tenant": tenant}))


def documents(connection: Connection, tenant: str, source: str) -> list[tuple[uuid.UUID, int]]:
    """Id and version of a page of documents, deleted ones too."""
    found = connection.execute(_DOCUMENTS, {"tenant": tenant, "source": source, "page": PAGE})
    return [(row.doc_id, row.version) for row in found]


def chunk_ids(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """The ids of the chunks of documents, of every chunker."""
    return list(connection.scalars(_CHUNKS, {"ids": list(doc_ids)}))


def delete_documents(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> int:
    """Delete documents and everything made of them, in the current transaction; returns how many vectors went."""
    ids = {"ids": list(doc_ids)}
    texts = [bytes(found) for found in connection.scalars(_TEXTS, ids)]
    for table in _BY_DOCUMENT:
        connection.execute(text(f"DELETE FROM rag.{table} WHERE doc_id = ANY(:ids)"), ids)  # noqa: S608  constants
    return connection.execute(_VECTORS, {"texts": texts}).rowcount
