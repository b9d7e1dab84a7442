"""The vector index: interface, payloads and filters. The engines are `edge`, `qdrant` and `remote`."""

from rag_core.index import checks
from rag_core.index.base import (
    NO_PENDING_REVOCATIONS,
    ApplyResult,
    DocumentUpdate,
    GenerationSpec,
    Hit,
    Payload,
    PendingRevocations,
    Point,
    SearchMode,
    SearchRequest,
    SearchResult,
    VectorIndex,
)
from rag_core.index.capacity import plan_capacity
from rag_core.index.checks import check_spec
from rag_core.index.filter_builder import Bounds, FilterBuilder, narrowed, scope, within
from rag_core.index.opening import open_index
from rag_core.index.payloads import (
    IDENTITY,
    IDF_SAMPLES,
    KEYWORDS,
    NUMBERS,
    SAMPLE_SHARES,
    TOTAL,
    from_json,
    from_json_or_blank,
    time_text,
    to_json,
)
from rag_core.index.planning import OPERATION_POINTS, READ_DOCUMENTS, Identity, operations, plan, slices

__all__ = [
    "IDENTITY",
    "IDF_SAMPLES",
    "KEYWORDS",
    "NO_PENDING_REVOCATIONS",
    "NUMBERS",
    "OPERATION_POINTS",
    "READ_DOCUMENTS",
    "SAMPLE_SHARES",
    "TOTAL",
    "ApplyResult",
    "Bounds",
    "DocumentUpdate",
    "FilterBuilder",
    "GenerationSpec",
    "Hit",
    "Identity",
    "Payload",
    "PendingRevocations",
    "Point",
    "SearchMode",
    "SearchRequest",
    "SearchResult",
    "VectorIndex",
    "check_spec",
    "checks",
    "from_json",
    "from_json_or_blank",
    "narrowed",
    "open_index",
    "operations",
    "plan",
    "plan_capacity",
    "scope",
    "slices",
    "time_text",
    "to_json",
    "within",
]
