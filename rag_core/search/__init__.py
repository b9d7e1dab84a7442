"""The search room: lexical encoder, term statistics, hybrid search, fusion, diversity and reranking."""

from rag_core.search import hybrid, lexical
from rag_core.search.fusion import KNOWN_HITS, Fusion, Scored, diversified, fuse, lexical_weight
from rag_core.search.hybrid import Engine, Scores
from rag_core.search.legs import leg, returned
from rag_core.search.lexical import STOPWORDS, Sparse, encode_documents, encode_query, stems
from rag_core.search.reranking import Reranker, open_reranker, reranked

__all__ = [
    "KNOWN_HITS",
    "STOPWORDS",
    "Engine",
    "Fusion",
    "Reranker",
    "Scored",
    "Scores",
    "Sparse",
    "diversified",
    "encode_documents",
    "encode_query",
    "fuse",
    "hybrid",
    "leg",
    "lexical",
    "lexical_weight",
    "open_reranker",
    "reranked",
    "returned",
    "stems",
]
