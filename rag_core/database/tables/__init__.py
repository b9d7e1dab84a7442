"""The tables of PostgreSQL, the system of record, and their functions and triggers (`*.sql`).

Row state drives the pipeline: a query finds what is pending for a stage, so a crash at any point only leaves work for
the next run. Pending has one definition per stage, a database function (pending.sql).

    documents.version        incremented by every change that the index must apply (content, ACL, metadata, deletion)
    rag.pending_chunks       chunkings.text_version is not documents.text_version -> chunk again
    rag.pending_embeddings   no row in embeddings for (text_hash, embedder) -> embed
    rag.pending_index        generation_documents.indexed_version is not documents.version -> apply to that generation
    visibility_changes       a row -> query servers hide the document from callers who lost access; written by a trigger
    inbox                    applied_at is null -> the stream worker applies it
    webhook_deliveries       state is pending -> the stream worker sends the event to the subscriber
"""

# Every module is imported, so that `metadata` knows its tables.
from rag_core.database.tables import curations, directories, history, operations, streams, webhooks
from rag_core.database.tables.base import metadata
from rag_core.database.tables.content import chunks, documents, embeddings
from rag_core.database.tables.evaluation import evaluation_questions, evaluation_results, evaluation_runs, ratings
