"""Every place in PostgreSQL with rows of a tenant: what an export writes of it, what an erasure does with it, and how.

A test compares the list with the schema, so that a new table is decided on before it is used.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

_OWN: Final = "t.tenant = :tenant"
_OF_DOCUMENT: Final = "EXISTS (SELECT FROM rag.documents d WHERE d.doc_id = t.doc_id AND d.tenant = :tenant)"
_OF_RUN: Final = "EXISTS (SELECT FROM rag.evaluation_runs r WHERE r.id = t.run AND r.tenant = :tenant)"
_OF_LISTING: Final = "EXISTS (SELECT FROM rag.listings l WHERE l.id = t.listing AND l.tenant = :tenant)"
_OF_WEBHOOK: Final = "EXISTS (SELECT FROM rag.webhooks w WHERE w.id = t.webhook_id AND w.tenant = :tenant)"
_OF_TEXT: Final = """EXISTS (SELECT FROM rag.chunks c JOIN rag.documents d USING (doc_id)
    WHERE c.text_hash = t.text_hash AND d.tenant = :tenant)
AND NOT EXISTS (SELECT FROM rag.chunks c JOIN rag.documents d USING (doc_id)
    WHERE c.text_hash = t.text_hash AND d.tenant <> :tenant)"""
"""Condition for vectors of this tenant alone: a vector of a text that another has too stays."""


@dataclass(frozen=True, slots=True)
class TenantTable:
    """Rows of a tenant in one table, as `t`; `mine` selects them.

    `export` is their file in an export, empty for what is made from the rest; `without` are columns that are left out:
    secrets and vectors. `with_documents`: an erasure deletes them document by document. `kept` is why it does not.
    """

    table: str
    mine: str = _OWN
    export: str = ""
    without: tuple[str, ...] = ()
    order: str = ""
    with_documents: bool = False
    kept: str = ""


_PROOF: Final = "who did what must be provable; `rag tenant erase --audit` removes the entries"
_CHAIN: Final = "the proof that no entry was removed in secret: hashes and numbers"
PLACES: Final = (
    # What was pushed, read and refused. In the order of deletion: what refers to something before it.
    TenantTable("inbox", export="documents/pushed.jsonl", order="seq"),
    TenantTable("object_notices"),
    TenantTable("dead_letters", export="documents/dead_letters.jsonl", order="id"),
    TenantTable("quarantine", export="documents/quarantine.jsonl", order="id"),
    TenantTable("source_items"),
    TenantTable("listed_items", _OF_LISTING),
    TenantTable("listings"),
    TenantTable("reading_progress"),
    TenantTable("embedding_turns"),
    TenantTable("held_deletions"),
    TenantTable("source_operations", export="sources/operations.jsonl", order="id"),
    TenantTable("source_problems", export="sources/problems.jsonl", order="place, message"),
    # What users and owners left.
    TenantTable("ratings", export="feedback/ratings.jsonl", order="id"),
    TenantTable("evaluation_results", _OF_RUN, export="feedback/evaluation_results.jsonl", order="run, number"),
    TenantTable("evaluation_runs", export="feedback/evaluation_runs.jsonl", order="id"),
    TenantTable("evaluation_questions", export="feedback/evaluation_questions.jsonl", order="id"),
    TenantTable("curations", export="feedback/curations.jsonl", order="id"),
    TenantTable("unanswered_questions", export="feedback/unanswered_questions.jsonl", order="question_hash"),
    TenantTable("history", export="feedback/figures.jsonl", order="step, at, series, label"),
    # Documents, and what is made of them.
    TenantTable("embeddings", _OF_TEXT, with_documents=True),
    TenantTable("chunks", _OF_DOCUMENT, with_documents=True),
    TenantTable("former_texts", _OF_DOCUMENT, with_documents=True),
    TenantTable("chunkings", _OF_DOCUMENT, with_documents=True),
    TenantTable("originals", _OF_DOCUMENT, export="documents/originals.jsonl", order="doc_id", with_documents=True),
    TenantTable("generation_documents", _OF_DOCUMENT, with_documents=True),
    TenantTable("visibility_changes", with_documents=True),
    TenantTable(
        "documents",
        export="documents/documents.jsonl",
        without=("content_hash", "text_hash", "structure"),
        order="doc_id",
        with_documents=True,
    ),
    # Sources and their runs.
    TenantTable("run_stages", export="sources/runs.jsonl", order="finished_at, run_id, source, shard, stage"),
    TenantTable("quality_runs", export="sources/quality.jsonl", order="finished_at, run_id, source, shard"),
    TenantTable("source_runs", export="sources/newest_runs.jsonl", order="source, shard"),
    TenantTable("source_states", export="sources/states.jsonl", order="source"),
    TenantTable(
        "stream_offsets",
        "starts_with(t.stream, :tenant || '/')",
        export="sources/stream_offsets.jsonl",
        order="stream, topic, partition",
    ),
    TenantTable("sources", export="sources/sources.jsonl", order="name"),
    TenantTable("alerts", export="sources/alerts.jsonl", order="key"),
    # What was sent to others.
    TenantTable("webhook_deliveries", _OF_WEBHOOK, export="webhooks/deliveries.jsonl", order="id"),
    TenantTable("webhook_events", export="webhooks/events.jsonl", order="created_at, id"),
    TenantTable("webhooks", export="webhooks/webhooks.jsonl", order="id"),
    TenantTable("announced_states"),
    # What was used, and what may be.
    TenantTable("usage", export="usage/usage.jsonl", order="day, key_id, writer"),
    TenantTable("budgets", export="usage/budgets.jsonl", order="key_id"),
    # Who may come in.
    TenantTable("api_keys", export="access/api_keys.jsonl", without=("secret_hash",), order="key_id"),
    TenantTable(
        "console_sessions", export="access/sessions.jsonl", without=("session",), order="first_used_at, session"
    ),
    TenantTable(
        "console_accounts",
        export="access/accounts.jsonl",
        without=("salt", "password_hash", "second_factor"),
        order="name",
    ),
    TenantTable("directory_members", export="access/directory_members.jsonl", order='directory, member, "group"'),
    TenantTable("directory_entries", export="access/directory_entries.jsonl", order="directory, entry"),
    TenantTable("directory_resources", export="access/directory_resources.jsonl", order="directory, id"),
    TenantTable("directories", export="access/directories.jsonl", order="name"),
    TenantTable("refused_names", export="access/refused_names.jsonl", order="name"),
    TenantTable("token_revocations", export="access/token_revocations.jsonl", order="subject"),
    # What was done.
    TenantTable("audit_documents", export="audit/documents.jsonl", order="doc_id"),
    TenantTable("audit", export="audit/audit.jsonl", without=("chain_hash",), order="id", kept=_PROOF),
    TenantTable("audit_heads", kept=_CHAIN),
    TenantTable("audit_checkpoints", kept=_CHAIN),
    TenantTable("erasures", export="audit/erasures.jsonl", order="doc_id"),
    TenantTable(
        "tenants",
        "t.name = :tenant",
        export="tenant.jsonl",
        kept="that the tenant was erased and when, so that a backup brings nothing back",
    ),
)
PLATFORM: Final = frozenset(
    {
        "colours", "deployment_steps", "deployments", "generations", "installation", "query_replicas",
        "schema_readers", "stream_workers",
    }
)  # fmt: skip
"""Tables that no tenant owns rows of."""

PAGE: Final = 500


def count(connection: Connection, tenant: str) -> dict[str, int]:
    """Rows of a tenant by table; tables without any are left out."""
    found = {place.table: _count(connection, place, tenant) for place in PLACES}
    return {table: rows for table, rows in found.items() if rows}


def _count(connection: Connection, place: TenantTable, tenant: str) -> int:
    statement = text(f"SELECT count(*) FROM rag.{place.table} t WHERE {place.mine}")  # noqa: S608  constants
    return int(connection.scalar(statement, {"tenant": tenant}) or 0)


def lines(connection: Connection, place: TenantTable, tenant: str) -> Iterator[str]:
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
_BY_DOCUMENT = (
    *("chunks", "chunkings", "originals", "generation_documents", "visibility_changes", "documents", "former_texts"),
)
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
