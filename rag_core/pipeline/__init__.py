"""The four stages and what surrounds them: pure calls over row state, used by assets, stream worker, CLI and tests."""

from rag_core.pipeline.accounting import account
from rag_core.pipeline.base import DocumentCounts, Progress, Scope, StageReport
from rag_core.pipeline.chunks import chunk_documents
from rag_core.pipeline.deletions import approve_deletions
from rag_core.pipeline.documents import sync_documents
from rag_core.pipeline.embeddings import embed_chunks
from rag_core.pipeline.events import Applied, Deferred, Event, EventApplier, Refused, Settled
from rag_core.pipeline.follow import chunk_following, embed_following
from rag_core.pipeline.generations import ensure_generation
from rag_core.pipeline.index import index_documents
from rag_core.pipeline.purge import purge_unused
from rag_core.pipeline.quality import assess_quality

__all__ = [
    "Applied",
    "Deferred",
    "DocumentCounts",
    "Event",
    "EventApplier",
    "Progress",
    "Refused",
    "Scope",
    "Settled",
    "StageReport",
    "account",
    "approve_deletions",
    "assess_quality",
    "chunk_documents",
    "chunk_following",
    "embed_chunks",
    "embed_following",
    "ensure_generation",
    "index_documents",
    "purge_unused",
    "sync_documents",
]
