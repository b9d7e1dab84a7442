"""The vector index: its interface, payloads and filters. Engines are in `edge`, `qdrant` and `remote`."""

from rag_core.index import checks
from rag_core.index.base import (
    NOTHING_WITHHELD,
    ApplyResult,
    DocumentUpdate,
    GenerationSpec,
    Hit,
    Payload,
    Point,
    SearchMode,
    SearchRequest,
    SearchResult,
    VectorIndex,
    Withheld,
)
from rag_core.index.capacity import plan_capacity
from rag_core.index.checks import check_spec
from rag_core.index.filter_builder import Bounds, Dialect, narrowed, scope, within
from rag_core.index.opening import open_index
from rag_core.index.payloads import (
    IDENTITY,
    KEYWORDS,
    NUMBERS,
    SAMPLE_SHARES,
    SAMPLES,
    TOTAL,
    from_json,
    from_json_or_blank,
    time_text,
    to_json,
)
from rag_core.index.planning import OPERATION_POINTS, READ_DOCUMENTS, Identity, operations, plan, slices

__all__ = [
    "IDENTITY",
    "KEYWORDS",
    "NOTHING_WITHHELD",
    "NUMBERS",
    "OPERATION_POINTS",
    "READ_DOCUMENTS",
    "SAMPLES",
    "SAMPLE_SHARES",
    "TOTAL",
    "ApplyResult",
    "Bounds",
    "Dialect",
    "DocumentUpdate",
    "GenerationSpec",
    "Hit",
    "Identity",
    "Payload",
    "Point",
    "SearchMode",
    "SearchRequest",
    "SearchResult",
    "VectorIndex",
    "Withheld",
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
