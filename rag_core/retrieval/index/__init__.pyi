from . import checks as checks
from .base import (
    NO_PENDING_REVOCATIONS as NO_PENDING_REVOCATIONS,
    ApplyResult as ApplyResult,
    DocumentUpdate as DocumentUpdate,
    GenerationSpec as GenerationSpec,
    IndexPoint as IndexPoint,
    LegWeights as LegWeights,
    Payload as Payload,
    PendingRevocations as PendingRevocations,
    ChunkRange as ChunkRange,
    ScoreExplanation as ScoreExplanation,
    SearchHit as SearchHit,
    SearchMode as SearchMode,
    SearchRequest as SearchRequest,
    SearchResult as SearchResult,
    SelfRetrieval as SelfRetrieval,
    VectorIndex as VectorIndex,
)
from .capacity import CapacityPlan as CapacityPlan, plan_capacity as plan_capacity
from .checks import check_spec as check_spec
from .filter_builder import (
    Bounds as Bounds,
    FilterBuilder as FilterBuilder,
    Visibility as Visibility,
    any_newer_points as any_newer_points,
    at_places as at_places,
    narrowed as narrowed,
    newer_points as newer_points,
    scope as scope,
    within as within,
)
from .payloads import (
    IDENTITY as IDENTITY,
    IDF_SAMPLES as IDF_SAMPLES,
    KEYWORDS as KEYWORDS,
    NUMBERS as NUMBERS,
    SAMPLE_SHARES as SAMPLE_SHARES,
    TOTAL as TOTAL,
    StoredPayload as StoredPayload,
    from_json as from_json,
    from_json_or_blank as from_json_or_blank,
    hit_payload as hit_payload,
    idf_sample as idf_sample,
    LAZY as LAZY,
    Structure as Structure,
    structure_from_json as structure_from_json,
    structure_to_json as structure_to_json,
    time_text as time_text,
    to_json as to_json,
)
from .planning import (
    OPERATION_POINTS as OPERATION_POINTS,
    READ_DOCUMENTS as READ_DOCUMENTS,
    Identity as Identity,
    operations as operations,
    plan as plan,
    slices as slices,
)
from .scope_trace import ScopeCheck as ScopeCheck, trace_scope as trace_scope
