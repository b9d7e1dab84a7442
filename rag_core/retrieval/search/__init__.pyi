from . import hybrid as hybrid, lexical as lexical
from .engine import (
    QUICK_EF as QUICK_EF,
    Effort as Effort,
    Engine as Engine,
    OwnVector as OwnVector,
    Scores as Scores,
    Stored as Stored,
)
from .fusion import (
    KNOWN_HITS as KNOWN_HITS,
    Legs as Legs,
    Number as Number,
    diversified as diversified,
    fuse as fuse,
    lexical_weight as lexical_weight,
)
from .hybrid import leg as leg, returned as returned
from .lexical import (
    STOPWORDS as STOPWORDS,
    Sparse as Sparse,
    encode_documents as encode_documents,
    encode_query as encode_query,
    stems as stems,
)
from .narrowing import SuggestedFilter as SuggestedFilter, Values as Values, normal as normal, suggest as suggest
from .preferring import (
    NO_PREFERENCES as NO_PREFERENCES,
    WINDOW as WINDOW,
    Preferences as Preferences,
)
from .reranking import Reranker as Reranker, open_reranker as open_reranker, reranked as reranked
from .own_vectors import self_retrieval as self_retrieval
from .statistics import (
    StatisticsCache as StatisticsCache,
    TermStatistics as TermStatistics,
    idf_sample_of as idf_sample_of,
    sample_of as sample_of,
)
