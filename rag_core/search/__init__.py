"""The search room: lexical encoder, term statistics, hybrid search, fusion, diversity and reranking."""

from rag_core.search import hybrid, lexical
from rag_core.search.engine import Engine, Scores, Stored
from rag_core.search.fusion import KNOWN_HITS, Legs, Number, diversified, fuse, lexical_weight
from rag_core.search.legs import leg, returned
from rag_core.search.lexical import STOPWORDS, Sparse, encode_documents, encode_query, stems
from rag_core.search.reranking import Reranker, open_reranker, reranked
from rag_core.search.statistics import StatisticsCache, TermStatistics, idf_sample_of, sample_of
