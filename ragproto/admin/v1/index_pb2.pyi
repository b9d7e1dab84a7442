import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ragproto.query.v2 import query_pb2 as _query_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GenerationSpec(_message.Message):
    __slots__ = ("name", "dimensions", "embedder", "chunker")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    CHUNKER_FIELD_NUMBER: _ClassVar[int]
    name: str
    dimensions: int
    embedder: str
    chunker: str
    def __init__(self, name: _Optional[str] = ..., dimensions: _Optional[int] = ..., embedder: _Optional[str] = ..., chunker: _Optional[str] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("chunk_id", "vector", "payload", "lexical_text")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_TEXT_FIELD_NUMBER: _ClassVar[int]
    chunk_id: bytes
    vector: bytes
    payload: Payload
    lexical_text: str
    def __init__(self, chunk_id: _Optional[bytes] = ..., vector: _Optional[bytes] = ..., payload: _Optional[_Union[Payload, _Mapping]] = ..., lexical_text: _Optional[str] = ...) -> None: ...

class Payload(_message.Message):
    __slots__ = ("tenant", "source", "doc_id", "version", "locator", "title", "acl", "ordinal", "start", "end", "text", "headings", "language", "media_type", "updated_at", "metadata", "structure")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    STRUCTURE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    source: str
    doc_id: bytes
    version: int
    locator: str
    title: str
    acl: _containers.RepeatedScalarFieldContainer[str]
    ordinal: int
    start: int
    end: int
    text: str
    headings: _containers.RepeatedScalarFieldContainer[str]
    language: str
    media_type: str
    updated_at: _timestamp_pb2.Timestamp
    metadata: _containers.ScalarMap[str, str]
    structure: str
    def __init__(self, tenant: _Optional[str] = ..., source: _Optional[str] = ..., doc_id: _Optional[bytes] = ..., version: _Optional[int] = ..., locator: _Optional[str] = ..., title: _Optional[str] = ..., acl: _Optional[_Iterable[str]] = ..., ordinal: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., text: _Optional[str] = ..., headings: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., media_type: _Optional[str] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., structure: _Optional[str] = ...) -> None: ...

class DocumentUpdate(_message.Message):
    __slots__ = ("doc_id", "version", "points")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    doc_id: bytes
    version: int
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, doc_id: _Optional[bytes] = ..., version: _Optional[int] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class CreateGenerationRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: GenerationSpec
    def __init__(self, spec: _Optional[_Union[GenerationSpec, _Mapping]] = ...) -> None: ...

class CreateGenerationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DropGenerationRequest(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    def __init__(self, generation: _Optional[str] = ...) -> None: ...

class DropGenerationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGenerationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGenerationsResponse(_message.Message):
    __slots__ = ("generations", "alias")
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    generations: _containers.RepeatedCompositeFieldContainer[GenerationSpec]
    alias: str
    def __init__(self, generations: _Optional[_Iterable[_Union[GenerationSpec, _Mapping]]] = ..., alias: _Optional[str] = ...) -> None: ...

class PromoteRequest(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    def __init__(self, generation: _Optional[str] = ...) -> None: ...

class PromoteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("generation", "updates")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    generation: str
    updates: _containers.RepeatedCompositeFieldContainer[DocumentUpdate]
    def __init__(self, generation: _Optional[str] = ..., updates: _Optional[_Iterable[_Union[DocumentUpdate, _Mapping]]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("upserted", "removed", "stale")
    UPSERTED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    upserted: int
    removed: int
    stale: int
    def __init__(self, upserted: _Optional[int] = ..., removed: _Optional[int] = ..., stale: _Optional[int] = ...) -> None: ...

class SearchIndexRequest(_message.Message):
    __slots__ = ("tenant", "acl", "limit", "mode", "text", "vector", "generation", "filter", "per_document", "with_vectors", "withheld_documents", "withheld_sources", "weights", "explain", "where")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PER_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    WITH_VECTORS_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_SOURCES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    acl: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    mode: str
    text: str
    vector: bytes
    generation: str
    filter: Condition
    per_document: int
    with_vectors: bool
    withheld_documents: _containers.RepeatedScalarFieldContainer[bytes]
    withheld_sources: _containers.RepeatedScalarFieldContainer[str]
    weights: LegWeights
    explain: bool
    where: _query_pb2.Filter
    def __init__(self, tenant: _Optional[str] = ..., acl: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., mode: _Optional[str] = ..., text: _Optional[str] = ..., vector: _Optional[bytes] = ..., generation: _Optional[str] = ..., filter: _Optional[_Union[Condition, _Mapping]] = ..., per_document: _Optional[int] = ..., with_vectors: _Optional[bool] = ..., withheld_documents: _Optional[_Iterable[bytes]] = ..., withheld_sources: _Optional[_Iterable[str]] = ..., weights: _Optional[_Union[LegWeights, _Mapping]] = ..., explain: _Optional[bool] = ..., where: _Optional[_Union[_query_pb2.Filter, _Mapping]] = ...) -> None: ...

class LegWeights(_message.Message):
    __slots__ = ("dense", "lexical")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_FIELD_NUMBER: _ClassVar[int]
    dense: float
    lexical: float
    def __init__(self, dense: _Optional[float] = ..., lexical: _Optional[float] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("all", "any", "negated", "values", "time", "exists", "numbers")
    ALL_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    NEGATED_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    all: ConditionGroup
    any: ConditionGroup
    negated: Condition
    values: FieldValues
    time: FieldTimes
    exists: str
    numbers: FieldNumbers
    def __init__(self, all: _Optional[_Union[ConditionGroup, _Mapping]] = ..., any: _Optional[_Union[ConditionGroup, _Mapping]] = ..., negated: _Optional[_Union[Condition, _Mapping]] = ..., values: _Optional[_Union[FieldValues, _Mapping]] = ..., time: _Optional[_Union[FieldTimes, _Mapping]] = ..., exists: _Optional[str] = ..., numbers: _Optional[_Union[FieldNumbers, _Mapping]] = ...) -> None: ...

class ConditionGroup(_message.Message):
    __slots__ = ("conditions",)
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, conditions: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ...) -> None: ...

class FieldValues(_message.Message):
    __slots__ = ("field", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class FieldNumbers(_message.Message):
    __slots__ = ("field", "gte", "gt", "lte", "lt")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    GTE_FIELD_NUMBER: _ClassVar[int]
    GT_FIELD_NUMBER: _ClassVar[int]
    LTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    field: str
    gte: float
    gt: float
    lte: float
    lt: float
    def __init__(self, field: _Optional[str] = ..., gte: _Optional[float] = ..., gt: _Optional[float] = ..., lte: _Optional[float] = ..., lt: _Optional[float] = ...) -> None: ...

class FieldTimes(_message.Message):
    __slots__ = ("field", "gte", "lt")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    GTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    field: str
    gte: _timestamp_pb2.Timestamp
    lt: _timestamp_pb2.Timestamp
    def __init__(self, field: _Optional[str] = ..., gte: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lt: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SearchIndexResponse(_message.Message):
    __slots__ = ("generation", "hits")
    class Hit(_message.Message):
        __slots__ = ("point", "score", "dense", "lexical", "explanation")
        POINT_FIELD_NUMBER: _ClassVar[int]
        SCORE_FIELD_NUMBER: _ClassVar[int]
        DENSE_FIELD_NUMBER: _ClassVar[int]
        LEXICAL_FIELD_NUMBER: _ClassVar[int]
        EXPLANATION_FIELD_NUMBER: _ClassVar[int]
        point: Point
        score: float
        dense: float
        lexical: float
        explanation: SearchIndexResponse.ScoreExplanation
        def __init__(self, point: _Optional[_Union[Point, _Mapping]] = ..., score: _Optional[float] = ..., dense: _Optional[float] = ..., lexical: _Optional[float] = ..., explanation: _Optional[_Union[SearchIndexResponse.ScoreExplanation, _Mapping]] = ...) -> None: ...
    class ScoreExplanation(_message.Message):
        __slots__ = ("rank", "dense_rank", "lexical_rank", "dense", "lexical", "weights")
        RANK_FIELD_NUMBER: _ClassVar[int]
        DENSE_RANK_FIELD_NUMBER: _ClassVar[int]
        LEXICAL_RANK_FIELD_NUMBER: _ClassVar[int]
        DENSE_FIELD_NUMBER: _ClassVar[int]
        LEXICAL_FIELD_NUMBER: _ClassVar[int]
        WEIGHTS_FIELD_NUMBER: _ClassVar[int]
        rank: int
        dense_rank: int
        lexical_rank: int
        dense: float
        lexical: float
        weights: LegWeights
        def __init__(self, rank: _Optional[int] = ..., dense_rank: _Optional[int] = ..., lexical_rank: _Optional[int] = ..., dense: _Optional[float] = ..., lexical: _Optional[float] = ..., weights: _Optional[_Union[LegWeights, _Mapping]] = ...) -> None: ...
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    generation: str
    hits: _containers.RepeatedCompositeFieldContainer[SearchIndexResponse.Hit]
    def __init__(self, generation: _Optional[str] = ..., hits: _Optional[_Iterable[_Union[SearchIndexResponse.Hit, _Mapping]]] = ...) -> None: ...

class AroundPointsRequest(_message.Message):
    __slots__ = ("scope", "places")
    class Place(_message.Message):
        __slots__ = ("doc_id", "version", "first", "last")
        DOC_ID_FIELD_NUMBER: _ClassVar[int]
        VERSION_FIELD_NUMBER: _ClassVar[int]
        FIRST_FIELD_NUMBER: _ClassVar[int]
        LAST_FIELD_NUMBER: _ClassVar[int]
        doc_id: bytes
        version: int
        first: int
        last: int
        def __init__(self, doc_id: _Optional[bytes] = ..., version: _Optional[int] = ..., first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    scope: SearchIndexRequest
    places: _containers.RepeatedCompositeFieldContainer[AroundPointsRequest.Place]
    def __init__(self, scope: _Optional[_Union[SearchIndexRequest, _Mapping]] = ..., places: _Optional[_Iterable[_Union[AroundPointsRequest.Place, _Mapping]]] = ...) -> None: ...

class AroundPointsResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("generation", "tenant", "source")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    generation: str
    tenant: str
    source: str
    def __init__(self, generation: _Optional[str] = ..., tenant: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: int
    def __init__(self, points: _Optional[int] = ...) -> None: ...

class ScrollRequest(_message.Message):
    __slots__ = ("generation", "batch", "with_vectors")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    WITH_VECTORS_FIELD_NUMBER: _ClassVar[int]
    generation: str
    batch: int
    with_vectors: bool
    def __init__(self, generation: _Optional[str] = ..., batch: _Optional[int] = ..., with_vectors: _Optional[bool] = ...) -> None: ...

class ScrollResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class FetchPointsRequest(_message.Message):
    __slots__ = ("generation", "chunk_ids")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_IDS_FIELD_NUMBER: _ClassVar[int]
    generation: str
    chunk_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, generation: _Optional[str] = ..., chunk_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FetchPointsResponse(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedCompositeFieldContainer[Point]
    def __init__(self, points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ...) -> None: ...

class DeletePointsRequest(_message.Message):
    __slots__ = ("generation", "chunk_ids")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_IDS_FIELD_NUMBER: _ClassVar[int]
    generation: str
    chunk_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, generation: _Optional[str] = ..., chunk_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class DeletePointsResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: int
    def __init__(self, removed: _Optional[int] = ...) -> None: ...

class ResetGenerationRequest(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    def __init__(self, generation: _Optional[str] = ...) -> None: ...

class ResetGenerationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OptimizeRequest(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    def __init__(self, generation: _Optional[str] = ...) -> None: ...

class OptimizeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SelfRetrievalRequest(_message.Message):
    __slots__ = ("generation", "chunk_ids")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_IDS_FIELD_NUMBER: _ClassVar[int]
    generation: str
    chunk_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, generation: _Optional[str] = ..., chunk_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SelfRetrievalResponse(_message.Message):
    __slots__ = ("searched", "missed", "lost")
    SEARCHED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    searched: int
    missed: _containers.RepeatedScalarFieldContainer[bytes]
    lost: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, searched: _Optional[int] = ..., missed: _Optional[_Iterable[bytes]] = ..., lost: _Optional[_Iterable[bytes]] = ...) -> None: ...
