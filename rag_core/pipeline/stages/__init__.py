"""The four stages, one function each: for a whole shard and for given documents alike."""

from rag_core.pipeline.stages.chunks import chunk_documents
from rag_core.pipeline.stages.documents import sync_documents
from rag_core.pipeline.stages.embeddings import embed_chunks
from rag_core.pipeline.stages.index import index_documents, index_pending

__all__ = ["chunk_documents", "embed_chunks", "index_documents", "index_pending", "sync_documents"]
