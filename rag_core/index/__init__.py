"""The vector index: interface, payloads and filters. The engines are `edge`, `qdrant` and `remote`."""

from rag_core.index import checks
from rag_core.index.base import (
    NO_PENDING_REVOCATIONS,
    ApplyResult,
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    LegWeights,
    Payload,
    PendingRevocations,
    Place,
    ScoreExplanation,
    SearchHit,
    SearchMode,
    SearchRequest,
    SearchResult,
    VectorIndex,
)
from rag_core.index.capacity import CapacityPlan, plan_capacity
from rag_core.index.checks import check_spec
from rag_core.index.filter_builder import (
    Bounds,
    FilterBuilder,
    Visibility,
    any_newer_points,
    at_places,
    narrowed,
    newer_points,
    scope,
    within,
)
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
    idf_sample,
    structure_from_json,
    structure_to_json,
    time_text,
    to_json,
)
from rag_core.index.planning import OPERATION_POINTS, READ_DOCUMENTS, Identity, operations, plan, slices
