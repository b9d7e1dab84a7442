"""Every place in PostgreSQL with rows of a tenant: what an export writes of it, and what an erasure does with it.

A test compares the list with the schema, so that a new table is decided on before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_OWN: Final = "t.tenant = :tenant"
_OF_DOCUMENT: Final = "EXISTS (SELECT FROM rag.documents d WHERE d.doc_id = t.doc_id AND d.tenant = :tenant)"
_OF_RUN: Final = "EXISTS (SELECT FROM rag.evaluation_runs r WHERE r.id = t.run AND r.tenant = :tenant)"
_OF_LISTING: Final = "EXISTS (SELECT FROM rag.listings l WHERE l.id = t.listing AND l.tenant = :tenant)"
_OF_WEBHOOK: Final = "EXISTS (SELECT FROM rag.webhooks w WHERE w.id = t.webhook_id AND w.tenant = :tenant)"
_OF_TEXT: Final = """EXISTS (SELECT FROM rag.chunks c JOIN rag.documents d USING (doc_id)
    WHERE c.text_hash = t.text_hash AND d.tenant = :tenant)"""


@dataclass(frozen=True, slots=True)
class Place:
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
    Place("inbox", export="documents/pushed.jsonl", order="seq"),
    Place("dead_letters", export="documents/dead_letters.jsonl", order="id"),
    Place("quarantine", export="documents/quarantine.jsonl", order="id"),
    Place("source_items"),
    Place("listed_items", _OF_LISTING),
    Place("listings"),
    Place("reading_progress"),
    Place("embedding_turns"),
    Place("held_deletions"),
    Place("source_operations", export="sources/operations.jsonl", order="id"),
    Place("source_problems", export="sources/problems.jsonl", order="place, message"),
    # What users and owners left.
    Place("ratings", export="feedback/ratings.jsonl", order="id"),
    Place("evaluation_results", _OF_RUN, export="feedback/evaluation_results.jsonl", order="run, number"),
    Place("evaluation_runs", export="feedback/evaluation_runs.jsonl", order="id"),
    Place("evaluation_questions", export="feedback/evaluation_questions.jsonl", order="id"),
    Place("unanswered_questions", export="feedback/unanswered_questions.jsonl", order="question_hash"),
    Place("history", export="feedback/figures.jsonl", order="step, at, series, label"),
    # Documents, and what is made of them.
    Place("embeddings", _OF_TEXT, with_documents=True),
    Place("chunks", _OF_DOCUMENT, with_documents=True),
    Place("former_texts", _OF_DOCUMENT, with_documents=True),
    Place("chunkings", _OF_DOCUMENT, with_documents=True),
    Place("generation_documents", _OF_DOCUMENT, with_documents=True),
    Place("visibility_changes", with_documents=True),
    Place(
        "documents",
        export="documents/documents.jsonl",
        without=("content_hash", "text_hash", "structure"),
        order="doc_id",
        with_documents=True,
    ),
    # Sources and their runs.
    Place("run_stages", export="sources/runs.jsonl", order="finished_at, run_id, source, shard, stage"),
    Place("quality_runs", export="sources/quality.jsonl", order="finished_at, run_id, source, shard"),
    Place("source_runs", export="sources/newest_runs.jsonl", order="source, shard"),
    Place("source_states", export="sources/states.jsonl", order="source"),
    Place(
        "stream_offsets",
        "starts_with(t.stream, :tenant || '/')",
        export="sources/stream_offsets.jsonl",
        order="stream, topic, partition",
    ),
    Place("sources", export="sources/sources.jsonl", order="name"),
    Place("alerts", export="sources/alerts.jsonl", order="key"),
    # What was sent to others.
    Place("webhook_deliveries", _OF_WEBHOOK, export="webhooks/deliveries.jsonl", order="id"),
    Place("webhook_events", export="webhooks/events.jsonl", order="created_at, id"),
    Place("webhooks", export="webhooks/webhooks.jsonl", order="id"),
    Place("announced_states"),
    # What was used, and what may be.
    Place("usage", export="usage/usage.jsonl", order="day, key_id, writer"),
    Place("budgets", export="usage/budgets.jsonl", order="key_id"),
    # Who may come in.
    Place("api_keys", export="access/api_keys.jsonl", without=("secret_hash",), order="key_id"),
    Place("console_sessions", export="access/sessions.jsonl", without=("session",), order="first_used_at, session"),
    Place("console_accounts", export="access/accounts.jsonl", without=("salt", "password_hash"), order="name"),
    Place("token_revocations", export="access/token_revocations.jsonl", order="subject"),
    # What was done.
    Place("audit_documents", export="audit/documents.jsonl", order="doc_id"),
    Place("audit", export="audit/audit.jsonl", without=("chain_hash",), order="id", kept=_PROOF),
    Place("audit_heads", kept=_CHAIN),
    Place("audit_checkpoints", kept=_CHAIN),
    Place("erasures", export="audit/erasures.jsonl", order="doc_id"),
    Place(
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
