"""The tables of PostgreSQL, the system of record. Alembic migrations create them; a test compares the two.

Row state drives the pipeline: a query finds what is pending for a stage, so a crash at any point only leaves work for
the next run. Pending has one definition per stage, a database function (migration 0016).

    documents.version        incremented by every change that the index must apply (content, ACL, metadata, deletion)
    rag.pending_chunks       chunkings.text_version is not documents.text_version -> chunk again
    rag.pending_embeddings   no row in embeddings for (text_hash, embedder) -> embed
    rag.pending_index        generation_documents.indexed_version is not documents.version -> apply to that generation
    visibility_changes       a row -> query servers hide the document from callers who lost access; written by a trigger
    inbox                    applied_at is null -> the stream worker applies it
    webhook_deliveries       state is pending -> the stream worker sends the event to the subscriber
"""

from rag_core.database.tables.base import SCHEMA, metadata, schema_readers
from rag_core.database.tables.content import (
    chunkings,
    chunks,
    documents,
    embedding_turns,
    embeddings,
    former_texts,
    generation_documents,
    generations,
    held_deletions,
    listed_items,
    listings,
    quarantine,
    query_replicas,
    reading_progress,
    run_stages,
    source_items,
    source_problems,
    source_runs,
    source_states,
    sources,
    visibility_changes,
)
from rag_core.database.tables.evaluation import (
    evaluation_questions,
    evaluation_results,
    evaluation_runs,
    ratings,
)
from rag_core.database.tables.history import figures, unanswered_questions
from rag_core.database.tables.operations import (
    alerts,
    api_keys,
    audit,
    audit_checkpoints,
    audit_documents,
    audit_heads,
    colours,
    console_accounts,
    console_sessions,
    deployment_steps,
    deployments,
    installation,
    quality_runs,
    source_operations,
    token_revocations,
)
from rag_core.database.tables.streams import dead_letters, erasures, inbox, stream_offsets, stream_workers
from rag_core.database.tables.tenants import tenants
from rag_core.database.tables.usage import budgets, usage
from rag_core.database.tables.webhooks import announced_states, webhook_deliveries, webhook_events, webhooks
