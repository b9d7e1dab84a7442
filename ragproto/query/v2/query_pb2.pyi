import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ragproto.query.v2 import curation_pb2 as _curation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_MODE_UNSPECIFIED: _ClassVar[SearchMode]
    SEARCH_MODE_HYBRID: _ClassVar[SearchMode]
    SEARCH_MODE_DENSE: _ClassVar[SearchMode]
    SEARCH_MODE_LEXICAL: _ClassVar[SearchMode]

class PageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAGE_KIND_UNSPECIFIED: _ClassVar[PageKind]
    PAGE_KIND_PAGE: _ClassVar[PageKind]
    PAGE_KIND_SLIDE: _ClassVar[PageKind]
    PAGE_KIND_SHEET: _ClassVar[PageKind]

class AnswerOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANSWER_OUTCOME_UNSPECIFIED: _ClassVar[AnswerOutcome]
    ANSWER_OUTCOME_ANSWERED: _ClassVar[AnswerOutcome]
    ANSWER_OUTCOME_CLOSEST_PASSAGES: _ClassVar[AnswerOutcome]
    ANSWER_OUTCOME_NOT_FOUND: _ClassVar[AnswerOutcome]
SEARCH_MODE_UNSPECIFIED: SearchMode
SEARCH_MODE_HYBRID: SearchMode
SEARCH_MODE_DENSE: SearchMode
SEARCH_MODE_LEXICAL: SearchMode
PAGE_KIND_UNSPECIFIED: PageKind
PAGE_KIND_PAGE: PageKind
PAGE_KIND_SLIDE: PageKind
PAGE_KIND_SHEET: PageKind
ANSWER_OUTCOME_UNSPECIFIED: AnswerOutcome
ANSWER_OUTCOME_ANSWERED: AnswerOutcome
ANSWER_OUTCOME_CLOSEST_PASSAGES: AnswerOutcome
ANSWER_OUTCOME_NOT_FOUND: AnswerOutcome

class SearchRequest(_message.Message):
    __slots__ = ("query", "top_k", "mode", "filter", "page_token", "max_per_document", "highlight", "diversity", "rerank", "weights", "generation", "explain", "page_size", "context", "freshness")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    query: str
    top_k: int
    mode: SearchMode
    filter: Filter
    page_token: str
    max_per_document: int
    highlight: bool
    diversity: float
    rerank: bool
    weights: LegWeights
    generation: str
    explain: bool
    page_size: int
    context: ContextOptions
    freshness: Freshness
    def __init__(self, query: _Optional[str] = ..., top_k: _Optional[int] = ..., mode: _Optional[_Union[SearchMode, str]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., page_token: _Optional[str] = ..., max_per_document: _Optional[int] = ..., highlight: _Optional[bool] = ..., diversity: _Optional[float] = ..., rerank: _Optional[bool] = ..., weights: _Optional[_Union[LegWeights, _Mapping]] = ..., generation: _Optional[str] = ..., explain: _Optional[bool] = ..., page_size: _Optional[int] = ..., context: _Optional[_Union[ContextOptions, _Mapping]] = ..., freshness: _Optional[_Union[Freshness, _Mapping]] = ...) -> None: ...

class Freshness(_message.Message):
    __slots__ = ("half_life_days", "weight")
    HALF_LIFE_DAYS_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    half_life_days: float
    weight: float
    def __init__(self, half_life_days: _Optional[float] = ..., weight: _Optional[float] = ...) -> None: ...

class ContextOptions(_message.Message):
    __slots__ = ("before", "after", "section")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    SECTION_FIELD_NUMBER: _ClassVar[int]
    before: int
    after: int
    section: bool
    def __init__(self, before: _Optional[int] = ..., after: _Optional[int] = ..., section: _Optional[bool] = ...) -> None: ...

class LegWeights(_message.Message):
    __slots__ = ("dense", "lexical")
    DENSE_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_FIELD_NUMBER: _ClassVar[int]
    dense: float
    lexical: float
    def __init__(self, dense: _Optional[float] = ..., lexical: _Optional[float] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("all", "any", "time", "exists", "eq", "range")
    class Group(_message.Message):
        __slots__ = ("conditions",)
        CONDITIONS_FIELD_NUMBER: _ClassVar[int]
        conditions: _containers.RepeatedCompositeFieldContainer[Filter]
        def __init__(self, conditions: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...
    class In(_message.Message):
        __slots__ = ("field", "values")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        VALUES_FIELD_NUMBER: _ClassVar[int]
        field: str
        values: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...
    class Eq(_message.Message):
        __slots__ = ("field", "value")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        field: str
        value: str
        def __init__(self, field: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class NumberRange(_message.Message):
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
    class TimeRange(_message.Message):
        __slots__ = ("field", "gte", "lt")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        GTE_FIELD_NUMBER: _ClassVar[int]
        LT_FIELD_NUMBER: _ClassVar[int]
        field: str
        gte: _timestamp_pb2.Timestamp
        lt: _timestamp_pb2.Timestamp
        def __init__(self, field: _Optional[str] = ..., gte: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lt: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class Exists(_message.Message):
        __slots__ = ("field",)
        FIELD_FIELD_NUMBER: _ClassVar[int]
        field: str
        def __init__(self, field: _Optional[str] = ...) -> None: ...
    ALL_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    NOT_FIELD_NUMBER: _ClassVar[int]
    IN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    EQ_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    all: Filter.Group
    any: Filter.Group
    time: Filter.TimeRange
    exists: Filter.Exists
    eq: Filter.Eq
    range: Filter.NumberRange
    def __init__(self, all: _Optional[_Union[Filter.Group, _Mapping]] = ..., any: _Optional[_Union[Filter.Group, _Mapping]] = ..., time: _Optional[_Union[Filter.TimeRange, _Mapping]] = ..., exists: _Optional[_Union[Filter.Exists, _Mapping]] = ..., eq: _Optional[_Union[Filter.Eq, _Mapping]] = ..., range: _Optional[_Union[Filter.NumberRange, _Mapping]] = ..., **kwargs) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("passages", "generation", "next_page_token", "as_of", "rerank_skipped", "explanation", "curations", "suggested_filters")
    PASSAGES_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    RERANK_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    CURATIONS_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_FILTERS_FIELD_NUMBER: _ClassVar[int]
    passages: _containers.RepeatedCompositeFieldContainer[Passage]
    generation: str
    next_page_token: str
    as_of: _timestamp_pb2.Timestamp
    rerank_skipped: str
    explanation: SearchExplanation
    curations: _containers.RepeatedCompositeFieldContainer[_curation_pb2.AppliedCuration]
    suggested_filters: _containers.RepeatedCompositeFieldContainer[SuggestedFilter]
    def __init__(self, passages: _Optional[_Iterable[_Union[Passage, _Mapping]]] = ..., generation: _Optional[str] = ..., next_page_token: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rerank_skipped: _Optional[str] = ..., explanation: _Optional[_Union[SearchExplanation, _Mapping]] = ..., curations: _Optional[_Iterable[_Union[_curation_pb2.AppliedCuration, _Mapping]]] = ..., suggested_filters: _Optional[_Iterable[_Union[SuggestedFilter, _Mapping]]] = ...) -> None: ...

class SuggestedFilter(_message.Message):
    __slots__ = ("filter", "words", "field", "value")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    filter: Filter
    words: str
    field: str
    value: str
    def __init__(self, filter: _Optional[_Union[Filter, _Mapping]] = ..., words: _Optional[str] = ..., field: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class SearchExplanation(_message.Message):
    __slots__ = ("mode", "weights", "weights_given", "reranked")
    MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_GIVEN_FIELD_NUMBER: _ClassVar[int]
    RERANKED_FIELD_NUMBER: _ClassVar[int]
    mode: SearchMode
    weights: LegWeights
    weights_given: bool
    reranked: bool
    def __init__(self, mode: _Optional[_Union[SearchMode, str]] = ..., weights: _Optional[_Union[LegWeights, _Mapping]] = ..., weights_given: _Optional[bool] = ..., reranked: _Optional[bool] = ...) -> None: ...

class BatchSearchRequest(_message.Message):
    __slots__ = ("searches",)
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    searches: _containers.RepeatedCompositeFieldContainer[SearchRequest]
    def __init__(self, searches: _Optional[_Iterable[_Union[SearchRequest, _Mapping]]] = ...) -> None: ...

class BatchSearchResponse(_message.Message):
    __slots__ = ("outcomes",)
    class Outcome(_message.Message):
        __slots__ = ("response", "error")
        RESPONSE_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        response: SearchResponse
        error: BatchSearchResponse.Error
        def __init__(self, response: _Optional[_Union[SearchResponse, _Mapping]] = ..., error: _Optional[_Union[BatchSearchResponse.Error, _Mapping]] = ...) -> None: ...
    class Error(_message.Message):
        __slots__ = ("reason", "message")
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        reason: str
        message: str
        def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[BatchSearchResponse.Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[BatchSearchResponse.Outcome, _Mapping]]] = ...) -> None: ...

class Passage(_message.Message):
    __slots__ = ("chunk_id", "doc_id", "version", "source", "locator", "title", "headings", "start", "end", "text", "score", "dense_score", "lexical_score", "language", "media_type", "updated_at", "metadata", "highlights", "rerank_score", "retrieval_score", "page", "heading_path", "blocks", "explanation", "page_kind", "context", "curated")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class Context(_message.Message):
        __slots__ = ("before", "after", "start", "end")
        BEFORE_FIELD_NUMBER: _ClassVar[int]
        AFTER_FIELD_NUMBER: _ClassVar[int]
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        before: str
        after: str
        start: int
        end: int
        def __init__(self, before: _Optional[str] = ..., after: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
    class ScoreExplanation(_message.Message):
        __slots__ = ("retrieval_rank", "dense_rank", "lexical_rank", "dense_part", "lexical_part", "curated_part", "freshness_part", "dated_at")
        RETRIEVAL_RANK_FIELD_NUMBER: _ClassVar[int]
        DENSE_RANK_FIELD_NUMBER: _ClassVar[int]
        LEXICAL_RANK_FIELD_NUMBER: _ClassVar[int]
        DENSE_PART_FIELD_NUMBER: _ClassVar[int]
        LEXICAL_PART_FIELD_NUMBER: _ClassVar[int]
        CURATED_PART_FIELD_NUMBER: _ClassVar[int]
        FRESHNESS_PART_FIELD_NUMBER: _ClassVar[int]
        DATED_AT_FIELD_NUMBER: _ClassVar[int]
        retrieval_rank: int
        dense_rank: int
        lexical_rank: int
        dense_part: float
        lexical_part: float
        curated_part: float
        freshness_part: float
        dated_at: _timestamp_pb2.Timestamp
        def __init__(self, retrieval_rank: _Optional[int] = ..., dense_rank: _Optional[int] = ..., lexical_rank: _Optional[int] = ..., dense_part: _Optional[float] = ..., lexical_part: _Optional[float] = ..., curated_part: _Optional[float] = ..., freshness_part: _Optional[float] = ..., dated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class Highlight(_message.Message):
        __slots__ = ("start", "end")
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        start: int
        end: int
        def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DENSE_SCORE_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_SCORE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    RERANK_SCORE_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_SCORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    HEADING_PATH_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    PAGE_KIND_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CURATED_FIELD_NUMBER: _ClassVar[int]
    chunk_id: str
    doc_id: str
    version: int
    source: str
    locator: str
    title: str
    headings: _containers.RepeatedScalarFieldContainer[str]
    start: int
    end: int
    text: str
    score: float
    dense_score: float
    lexical_score: float
    language: str
    media_type: str
    updated_at: _timestamp_pb2.Timestamp
    metadata: _containers.ScalarMap[str, str]
    highlights: _containers.RepeatedCompositeFieldContainer[Passage.Highlight]
    rerank_score: float
    retrieval_score: float
    page: int
    heading_path: _containers.RepeatedScalarFieldContainer[str]
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    explanation: Passage.ScoreExplanation
    page_kind: PageKind
    context: Passage.Context
    curated: _curation_pb2.CurationAction
    def __init__(self, chunk_id: _Optional[str] = ..., doc_id: _Optional[str] = ..., version: _Optional[int] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., title: _Optional[str] = ..., headings: _Optional[_Iterable[str]] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., text: _Optional[str] = ..., score: _Optional[float] = ..., dense_score: _Optional[float] = ..., lexical_score: _Optional[float] = ..., language: _Optional[str] = ..., media_type: _Optional[str] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., highlights: _Optional[_Iterable[_Union[Passage.Highlight, _Mapping]]] = ..., rerank_score: _Optional[float] = ..., retrieval_score: _Optional[float] = ..., page: _Optional[int] = ..., heading_path: _Optional[_Iterable[str]] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., explanation: _Optional[_Union[Passage.ScoreExplanation, _Mapping]] = ..., page_kind: _Optional[_Union[PageKind, str]] = ..., context: _Optional[_Union[Passage.Context, _Mapping]] = ..., curated: _Optional[_Union[_curation_pb2.CurationAction, str]] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("kind", "start", "end", "page", "heading_path", "level", "language", "header", "parts")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Block.Kind]
        KIND_HEADING: _ClassVar[Block.Kind]
        KIND_PARAGRAPH: _ClassVar[Block.Kind]
        KIND_LIST: _ClassVar[Block.Kind]
        KIND_TABLE: _ClassVar[Block.Kind]
        KIND_CODE: _ClassVar[Block.Kind]
        KIND_DEFINITIONS: _ClassVar[Block.Kind]
        KIND_QUOTE: _ClassVar[Block.Kind]
        KIND_IMAGE: _ClassVar[Block.Kind]
        KIND_FRONT_MATTER: _ClassVar[Block.Kind]
    KIND_UNSPECIFIED: Block.Kind
    KIND_HEADING: Block.Kind
    KIND_PARAGRAPH: Block.Kind
    KIND_LIST: Block.Kind
    KIND_TABLE: Block.Kind
    KIND_CODE: Block.Kind
    KIND_DEFINITIONS: Block.Kind
    KIND_QUOTE: Block.Kind
    KIND_IMAGE: Block.Kind
    KIND_FRONT_MATTER: Block.Kind
    class Part(_message.Message):
        __slots__ = ("role", "start", "end", "level")
        class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            ROLE_UNSPECIFIED: _ClassVar[Block.Part.Role]
            ROLE_ITEM: _ClassVar[Block.Part.Role]
            ROLE_CODE: _ClassVar[Block.Part.Role]
            ROLE_HEADER: _ClassVar[Block.Part.Role]
            ROLE_ROW: _ClassVar[Block.Part.Role]
            ROLE_TERM: _ClassVar[Block.Part.Role]
            ROLE_DESCRIPTION: _ClassVar[Block.Part.Role]
        ROLE_UNSPECIFIED: Block.Part.Role
        ROLE_ITEM: Block.Part.Role
        ROLE_CODE: Block.Part.Role
        ROLE_HEADER: Block.Part.Role
        ROLE_ROW: Block.Part.Role
        ROLE_TERM: Block.Part.Role
        ROLE_DESCRIPTION: Block.Part.Role
        ROLE_FIELD_NUMBER: _ClassVar[int]
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        LEVEL_FIELD_NUMBER: _ClassVar[int]
        role: Block.Part.Role
        start: int
        end: int
        level: int
        def __init__(self, role: _Optional[_Union[Block.Part.Role, str]] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., level: _Optional[int] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    HEADING_PATH_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    kind: Block.Kind
    start: int
    end: int
    page: int
    heading_path: _containers.RepeatedScalarFieldContainer[str]
    level: int
    language: str
    header: str
    parts: _containers.RepeatedCompositeFieldContainer[Block.Part]
    def __init__(self, kind: _Optional[_Union[Block.Kind, str]] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., page: _Optional[int] = ..., heading_path: _Optional[_Iterable[str]] = ..., level: _Optional[int] = ..., language: _Optional[str] = ..., header: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[Block.Part, _Mapping]]] = ...) -> None: ...

class AnswerRequest(_message.Message):
    __slots__ = ("query", "top_k", "filter", "max_per_document", "rerank", "resume_token", "messages", "mode", "weights", "generation", "answerer", "no_fallback", "progress", "freshness")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ANSWERER_FIELD_NUMBER: _ClassVar[int]
    NO_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_FIELD_NUMBER: _ClassVar[int]
    query: str
    top_k: int
    filter: Filter
    max_per_document: int
    rerank: bool
    resume_token: str
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    mode: SearchMode
    weights: LegWeights
    generation: str
    answerer: str
    no_fallback: bool
    progress: bool
    freshness: Freshness
    def __init__(self, query: _Optional[str] = ..., top_k: _Optional[int] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., max_per_document: _Optional[int] = ..., rerank: _Optional[bool] = ..., resume_token: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., mode: _Optional[_Union[SearchMode, str]] = ..., weights: _Optional[_Union[LegWeights, _Mapping]] = ..., generation: _Optional[str] = ..., answerer: _Optional[str] = ..., no_fallback: _Optional[bool] = ..., progress: _Optional[bool] = ..., freshness: _Optional[_Union[Freshness, _Mapping]] = ...) -> None: ...

class ListSourcesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSourcesResponse(_message.Message):
    __slots__ = ("sources", "next_page_token")
    class Source(_message.Message):
        __slots__ = ("name", "documents")
        NAME_FIELD_NUMBER: _ClassVar[int]
        DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
        name: str
        documents: int
        def __init__(self, name: _Optional[str] = ..., documents: _Optional[int] = ...) -> None: ...
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedCompositeFieldContainer[ListSourcesResponse.Source]
    next_page_token: str
    def __init__(self, sources: _Optional[_Iterable[_Union[ListSourcesResponse.Source, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListAnswerersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAnswerersResponse(_message.Message):
    __slots__ = ("answerers", "next_page_token")
    class Answerer(_message.Message):
        __slots__ = ("name", "model")
        NAME_FIELD_NUMBER: _ClassVar[int]
        MODEL_FIELD_NUMBER: _ClassVar[int]
        name: str
        model: str
        def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...
    ANSWERERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    answerers: _containers.RepeatedCompositeFieldContainer[ListAnswerersResponse.Answerer]
    next_page_token: str
    def __init__(self, answerers: _Optional[_Iterable[_Union[ListAnswerersResponse.Answerer, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ("days",)
    DAYS_FIELD_NUMBER: _ClassVar[int]
    days: int
    def __init__(self, days: _Optional[int] = ...) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("days", "key_days", "key_id", "documents", "budget", "key_budget", "renews_at", "tenant")
    class DailyUsage(_message.Message):
        __slots__ = ("day", "calls", "refused_calls", "prompt_tokens", "completion_tokens")
        DAY_FIELD_NUMBER: _ClassVar[int]
        CALLS_FIELD_NUMBER: _ClassVar[int]
        REFUSED_CALLS_FIELD_NUMBER: _ClassVar[int]
        PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
        COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
        day: str
        calls: int
        refused_calls: int
        prompt_tokens: int
        completion_tokens: int
        def __init__(self, day: _Optional[str] = ..., calls: _Optional[int] = ..., refused_calls: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ...) -> None: ...
    class Budget(_message.Message):
        __slots__ = ("calls_per_day", "model_tokens_per_day", "documents")
        CALLS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
        MODEL_TOKENS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
        DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
        calls_per_day: int
        model_tokens_per_day: int
        documents: int
        def __init__(self, calls_per_day: _Optional[int] = ..., model_tokens_per_day: _Optional[int] = ..., documents: _Optional[int] = ...) -> None: ...
    DAYS_FIELD_NUMBER: _ClassVar[int]
    KEY_DAYS_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    KEY_BUDGET_FIELD_NUMBER: _ClassVar[int]
    RENEWS_AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    days: _containers.RepeatedCompositeFieldContainer[GetUsageResponse.DailyUsage]
    key_days: _containers.RepeatedCompositeFieldContainer[GetUsageResponse.DailyUsage]
    key_id: str
    documents: int
    budget: GetUsageResponse.Budget
    key_budget: GetUsageResponse.Budget
    renews_at: _timestamp_pb2.Timestamp
    tenant: str
    def __init__(self, days: _Optional[_Iterable[_Union[GetUsageResponse.DailyUsage, _Mapping]]] = ..., key_days: _Optional[_Iterable[_Union[GetUsageResponse.DailyUsage, _Mapping]]] = ..., key_id: _Optional[str] = ..., documents: _Optional[int] = ..., budget: _Optional[_Union[GetUsageResponse.Budget, _Mapping]] = ..., key_budget: _Optional[_Union[GetUsageResponse.Budget, _Mapping]] = ..., renews_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant: _Optional[str] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("role", "text")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    role: str
    text: str
    def __init__(self, role: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class AnswerEvent(_message.Message):
    __slots__ = ("delta", "final", "writing", "resume_token")
    DELTA_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    WRITING_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    delta: AnswerDelta
    final: AnswerFinal
    writing: AnswerWriting
    resume_token: str
    def __init__(self, delta: _Optional[_Union[AnswerDelta, _Mapping]] = ..., final: _Optional[_Union[AnswerFinal, _Mapping]] = ..., writing: _Optional[_Union[AnswerWriting, _Mapping]] = ..., resume_token: _Optional[str] = ...) -> None: ...

class AnswerWriting(_message.Message):
    __slots__ = ("model", "outcome", "excerpts", "citations")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXCERPTS_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    outcome: AnswerOutcome
    excerpts: _containers.RepeatedCompositeFieldContainer[Excerpt]
    citations: _containers.RepeatedCompositeFieldContainer[Citation]
    def __init__(self, model: _Optional[str] = ..., outcome: _Optional[_Union[AnswerOutcome, str]] = ..., excerpts: _Optional[_Iterable[_Union[Excerpt, _Mapping]]] = ..., citations: _Optional[_Iterable[_Union[Citation, _Mapping]]] = ...) -> None: ...

class AnswerDelta(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Excerpt(_message.Message):
    __slots__ = ("title", "locator", "heading_path", "page", "markdown", "text", "citations", "page_kind", "highlights", "further")
    class Highlight(_message.Message):
        __slots__ = ("start", "end")
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        start: int
        end: int
        def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    HEADING_PATH_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    MARKDOWN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    PAGE_KIND_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_FIELD_NUMBER: _ClassVar[int]
    title: str
    locator: str
    heading_path: _containers.RepeatedScalarFieldContainer[str]
    page: int
    markdown: str
    text: str
    citations: _containers.RepeatedScalarFieldContainer[int]
    page_kind: PageKind
    highlights: _containers.RepeatedCompositeFieldContainer[Excerpt.Highlight]
    further: bool
    def __init__(self, title: _Optional[str] = ..., locator: _Optional[str] = ..., heading_path: _Optional[_Iterable[str]] = ..., page: _Optional[int] = ..., markdown: _Optional[str] = ..., text: _Optional[str] = ..., citations: _Optional[_Iterable[int]] = ..., page_kind: _Optional[_Union[PageKind, str]] = ..., highlights: _Optional[_Iterable[_Union[Excerpt.Highlight, _Mapping]]] = ..., further: _Optional[bool] = ...) -> None: ...

class AnswerFinal(_message.Message):
    __slots__ = ("answered", "abstained", "failed", "generation", "as_of", "usage", "answer_outcome", "answer_markdown", "read_as", "excerpts", "standalone_question", "answered_by", "standalone_by", "rerank_skipped", "curations", "suggested_filters")
    class Usage(_message.Message):
        __slots__ = ("passages", "milliseconds", "prompt_tokens", "completion_tokens", "cost", "currency")
        PASSAGES_FIELD_NUMBER: _ClassVar[int]
        MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
        PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
        COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
        COST_FIELD_NUMBER: _ClassVar[int]
        CURRENCY_FIELD_NUMBER: _ClassVar[int]
        passages: int
        milliseconds: int
        prompt_tokens: int
        completion_tokens: int
        cost: float
        currency: str
        def __init__(self, passages: _Optional[int] = ..., milliseconds: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cost: _Optional[float] = ..., currency: _Optional[str] = ...) -> None: ...
    class AnsweredBy(_message.Message):
        __slots__ = ("answerer", "model", "fallback_reason")
        ANSWERER_FIELD_NUMBER: _ClassVar[int]
        MODEL_FIELD_NUMBER: _ClassVar[int]
        FALLBACK_REASON_FIELD_NUMBER: _ClassVar[int]
        answerer: str
        model: str
        fallback_reason: str
        def __init__(self, answerer: _Optional[str] = ..., model: _Optional[str] = ..., fallback_reason: _Optional[str] = ...) -> None: ...
    class Answered(_message.Message):
        __slots__ = ("citations",)
        CITATIONS_FIELD_NUMBER: _ClassVar[int]
        citations: _containers.RepeatedCompositeFieldContainer[Citation]
        def __init__(self, citations: _Optional[_Iterable[_Union[Citation, _Mapping]]] = ...) -> None: ...
    class Abstained(_message.Message):
        __slots__ = ("reason", "citations")
        REASON_FIELD_NUMBER: _ClassVar[int]
        CITATIONS_FIELD_NUMBER: _ClassVar[int]
        reason: str
        citations: _containers.RepeatedCompositeFieldContainer[Citation]
        def __init__(self, reason: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[Citation, _Mapping]]] = ...) -> None: ...
    class Failed(_message.Message):
        __slots__ = ("reason", "message")
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        reason: str
        message: str
        def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ANSWER_MARKDOWN_FIELD_NUMBER: _ClassVar[int]
    READ_AS_FIELD_NUMBER: _ClassVar[int]
    EXCERPTS_FIELD_NUMBER: _ClassVar[int]
    STANDALONE_QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    STANDALONE_BY_FIELD_NUMBER: _ClassVar[int]
    RERANK_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    CURATIONS_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_FILTERS_FIELD_NUMBER: _ClassVar[int]
    answered: AnswerFinal.Answered
    abstained: AnswerFinal.Abstained
    failed: AnswerFinal.Failed
    generation: str
    as_of: _timestamp_pb2.Timestamp
    usage: AnswerFinal.Usage
    answer_outcome: AnswerOutcome
    answer_markdown: str
    read_as: str
    excerpts: _containers.RepeatedCompositeFieldContainer[Excerpt]
    standalone_question: str
    answered_by: AnswerFinal.AnsweredBy
    standalone_by: str
    rerank_skipped: str
    curations: _containers.RepeatedCompositeFieldContainer[_curation_pb2.AppliedCuration]
    suggested_filters: _containers.RepeatedCompositeFieldContainer[SuggestedFilter]
    def __init__(self, answered: _Optional[_Union[AnswerFinal.Answered, _Mapping]] = ..., abstained: _Optional[_Union[AnswerFinal.Abstained, _Mapping]] = ..., failed: _Optional[_Union[AnswerFinal.Failed, _Mapping]] = ..., generation: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., usage: _Optional[_Union[AnswerFinal.Usage, _Mapping]] = ..., answer_outcome: _Optional[_Union[AnswerOutcome, str]] = ..., answer_markdown: _Optional[str] = ..., read_as: _Optional[str] = ..., excerpts: _Optional[_Iterable[_Union[Excerpt, _Mapping]]] = ..., standalone_question: _Optional[str] = ..., answered_by: _Optional[_Union[AnswerFinal.AnsweredBy, _Mapping]] = ..., standalone_by: _Optional[str] = ..., rerank_skipped: _Optional[str] = ..., curations: _Optional[_Iterable[_Union[_curation_pb2.AppliedCuration, _Mapping]]] = ..., suggested_filters: _Optional[_Iterable[_Union[SuggestedFilter, _Mapping]]] = ...) -> None: ...

class Citation(_message.Message):
    __slots__ = ("number", "doc_id", "version", "chunk_id", "source", "locator", "title", "start", "end", "quote", "page", "heading_path", "blocks", "page_kind")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    HEADING_PATH_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    PAGE_KIND_FIELD_NUMBER: _ClassVar[int]
    number: int
    doc_id: str
    version: int
    chunk_id: str
    source: str
    locator: str
    title: str
    start: int
    end: int
    quote: str
    page: int
    heading_path: _containers.RepeatedScalarFieldContainer[str]
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    page_kind: PageKind
    def __init__(self, number: _Optional[int] = ..., doc_id: _Optional[str] = ..., version: _Optional[int] = ..., chunk_id: _Optional[str] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., title: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., quote: _Optional[str] = ..., page: _Optional[int] = ..., heading_path: _Optional[_Iterable[str]] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., page_kind: _Optional[_Union[PageKind, str]] = ...) -> None: ...

class GetPageRequest(_message.Message):
    __slots__ = ("doc_id", "page", "start", "end")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    page: int
    start: int
    end: int
    def __init__(self, doc_id: _Optional[str] = ..., page: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class GetPageResponse(_message.Message):
    __slots__ = ("image", "media_type", "width", "height", "page", "pages", "version", "marks")
    class Mark(_message.Message):
        __slots__ = ("left", "top", "right", "bottom")
        LEFT_FIELD_NUMBER: _ClassVar[int]
        TOP_FIELD_NUMBER: _ClassVar[int]
        RIGHT_FIELD_NUMBER: _ClassVar[int]
        BOTTOM_FIELD_NUMBER: _ClassVar[int]
        left: float
        top: float
        right: float
        bottom: float
        def __init__(self, left: _Optional[float] = ..., top: _Optional[float] = ..., right: _Optional[float] = ..., bottom: _Optional[float] = ...) -> None: ...
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PAGES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    media_type: str
    width: int
    height: int
    page: int
    pages: int
    version: int
    marks: _containers.RepeatedCompositeFieldContainer[GetPageResponse.Mark]
    def __init__(self, image: _Optional[bytes] = ..., media_type: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., page: _Optional[int] = ..., pages: _Optional[int] = ..., version: _Optional[int] = ..., marks: _Optional[_Iterable[_Union[GetPageResponse.Mark, _Mapping]]] = ...) -> None: ...

class SendFeedbackRequest(_message.Message):
    __slots__ = ("question", "answer", "helpful", "comment", "right_doc_id", "generation", "citations")
    class Span(_message.Message):
        __slots__ = ("doc_id", "version", "start", "end")
        DOC_ID_FIELD_NUMBER: _ClassVar[int]
        VERSION_FIELD_NUMBER: _ClassVar[int]
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        doc_id: str
        version: int
        start: int
        end: int
        def __init__(self, doc_id: _Optional[str] = ..., version: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    HELPFUL_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_DOC_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    question: str
    answer: str
    helpful: bool
    comment: str
    right_doc_id: str
    generation: str
    citations: _containers.RepeatedCompositeFieldContainer[SendFeedbackRequest.Span]
    def __init__(self, question: _Optional[str] = ..., answer: _Optional[str] = ..., helpful: _Optional[bool] = ..., comment: _Optional[str] = ..., right_doc_id: _Optional[str] = ..., generation: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[SendFeedbackRequest.Span, _Mapping]]] = ...) -> None: ...

class SendFeedbackResponse(_message.Message):
    __slots__ = ("replaced",)
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    replaced: bool
    def __init__(self, replaced: _Optional[bool] = ...) -> None: ...
