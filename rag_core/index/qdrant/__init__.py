"""The index engine on a Qdrant server or cluster."""

from rag_core.index.qdrant.opening import check_qdrant, open_qdrant

__all__ = ["check_qdrant", "open_qdrant"]
