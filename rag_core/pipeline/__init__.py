"""One path through the four stages, and what surrounds it; used by assets, stream worker, CLI and tests."""

from rag_core.pipeline.accounting import account
from rag_core.pipeline.base import DocumentCounts, Progress, Scope, StageResult, Work
from rag_core.pipeline.deletions import approve_deletions
from rag_core.pipeline.events import BatchResult, Deferred, Event, EventApplier, EventsResult, Refused
from rag_core.pipeline.generations import ensure_generation
from rag_core.pipeline.purge import purge_listings, purge_unused
from rag_core.pipeline.quality import assess_quality
from rag_core.pipeline.run import run_pipeline
from rag_core.pipeline.stages import chunk_documents, embed_chunks, index_documents, sync_documents

__all__ = [
    "BatchResult",
    "Deferred",
    "DocumentCounts",
    "Event",
    "EventApplier",
    "EventsResult",
    "Progress",
    "Refused",
    "Scope",
    "StageResult",
    "Work",
    "account",
    "approve_deletions",
    "assess_quality",
    "chunk_documents",
    "embed_chunks",
    "ensure_generation",
    "index_documents",
    "purge_listings",
    "purge_unused",
    "run_pipeline",
    "sync_documents",
]
