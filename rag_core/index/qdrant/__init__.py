"""The index engine on a Qdrant server or cluster."""

from rag_core.index.qdrant.opening import check_qdrant, open_qdrant
