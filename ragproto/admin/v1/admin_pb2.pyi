import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SourceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_STATE_UNSPECIFIED: _ClassVar[SourceState]
    SOURCE_STATE_NEW: _ClassVar[SourceState]
    SOURCE_STATE_LISTING: _ClassVar[SourceState]
    SOURCE_STATE_EMBEDDING: _ClassVar[SourceState]
    SOURCE_STATE_INDEXING: _ClassVar[SourceState]
    SOURCE_STATE_WAITING: _ClassVar[SourceState]
    SOURCE_STATE_UP_TO_DATE: _ClassVar[SourceState]
    SOURCE_STATE_STALE: _ClassVar[SourceState]
    SOURCE_STATE_DEGRADED: _ClassVar[SourceState]
    SOURCE_STATE_FAILED: _ClassVar[SourceState]
    SOURCE_STATE_PAUSED: _ClassVar[SourceState]
    SOURCE_STATE_HELD: _ClassVar[SourceState]
SOURCE_STATE_UNSPECIFIED: SourceState
SOURCE_STATE_NEW: SourceState
SOURCE_STATE_LISTING: SourceState
SOURCE_STATE_EMBEDDING: SourceState
SOURCE_STATE_INDEXING: SourceState
SOURCE_STATE_WAITING: SourceState
SOURCE_STATE_UP_TO_DATE: SourceState
SOURCE_STATE_STALE: SourceState
SOURCE_STATE_DEGRADED: SourceState
SOURCE_STATE_FAILED: SourceState
SOURCE_STATE_PAUSED: SourceState
SOURCE_STATE_HELD: SourceState

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("components", "sources", "generations", "server_version", "source_problems")
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    components: _containers.RepeatedCompositeFieldContainer[Component]
    sources: _containers.RepeatedCompositeFieldContainer[SourceStatus]
    generations: _containers.RepeatedCompositeFieldContainer[Generation]
    server_version: str
    source_problems: _containers.RepeatedCompositeFieldContainer[SourceProblem]
    def __init__(self, components: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., sources: _Optional[_Iterable[_Union[SourceStatus, _Mapping]]] = ..., generations: _Optional[_Iterable[_Union[Generation, _Mapping]]] = ..., server_version: _Optional[str] = ..., source_problems: _Optional[_Iterable[_Union[SourceProblem, _Mapping]]] = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("name", "healthy", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    healthy: bool
    detail: str
    def __init__(self, name: _Optional[str] = ..., healthy: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class SourceProblem(_message.Message):
    __slots__ = ("source", "file", "reason", "message")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    source: str
    file: str
    reason: str
    message: str
    def __init__(self, source: _Optional[str] = ..., file: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SourceStatus(_message.Message):
    __slots__ = ("name", "kind", "documents", "chunks", "pending", "quarantined", "held_deletions", "last_complete_at", "condition", "streamed", "freshness_minutes", "searchable", "unread", "coverage")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    HELD_DELETIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_COMPLETE_AT_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    STREAMED_FIELD_NUMBER: _ClassVar[int]
    FRESHNESS_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SEARCHABLE_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    documents: int
    chunks: int
    pending: int
    quarantined: int
    held_deletions: int
    last_complete_at: _timestamp_pb2.Timestamp
    condition: SourceCondition
    streamed: bool
    freshness_minutes: int
    searchable: int
    unread: int
    coverage: float
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., documents: _Optional[int] = ..., chunks: _Optional[int] = ..., pending: _Optional[int] = ..., quarantined: _Optional[int] = ..., held_deletions: _Optional[int] = ..., last_complete_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., condition: _Optional[_Union[SourceCondition, _Mapping]] = ..., streamed: _Optional[bool] = ..., freshness_minutes: _Optional[int] = ..., searchable: _Optional[int] = ..., unread: _Optional[int] = ..., coverage: _Optional[float] = ...) -> None: ...

class SourceCondition(_message.Message):
    __slots__ = ("state", "since", "count", "percent", "seconds_left", "waiting_for", "ahead", "reason", "message", "remedy", "failing_since", "needs_attention", "summary", "sentence", "run_id")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    FAILING_SINCE_FIELD_NUMBER: _ClassVar[int]
    NEEDS_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    state: SourceState
    since: _timestamp_pb2.Timestamp
    count: int
    percent: int
    seconds_left: float
    waiting_for: str
    ahead: int
    reason: str
    message: str
    remedy: str
    failing_since: _timestamp_pb2.Timestamp
    needs_attention: bool
    summary: str
    sentence: str
    run_id: str
    def __init__(self, state: _Optional[_Union[SourceState, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., count: _Optional[int] = ..., percent: _Optional[int] = ..., seconds_left: _Optional[float] = ..., waiting_for: _Optional[str] = ..., ahead: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., failing_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., needs_attention: _Optional[bool] = ..., summary: _Optional[str] = ..., sentence: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class Generation(_message.Message):
    __slots__ = ("name", "state", "points", "embedder", "chunker", "created_at", "documents", "pending", "settings", "actor", "reason", "promoted_at", "promoted_from", "keep_until", "frozen", "checks", "evaluated_at", "baseline", "passed", "dimensions", "ready_at", "evaluation_wanted_at", "retired_at", "events")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    CHUNKER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_AT_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_FROM_FIELD_NUMBER: _ClassVar[int]
    KEEP_UNTIL_FIELD_NUMBER: _ClassVar[int]
    FROZEN_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_AT_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    READY_AT_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_WANTED_AT_FIELD_NUMBER: _ClassVar[int]
    RETIRED_AT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    points: int
    embedder: str
    chunker: str
    created_at: _timestamp_pb2.Timestamp
    documents: int
    pending: int
    settings: _containers.ScalarMap[str, str]
    actor: str
    reason: str
    promoted_at: _timestamp_pb2.Timestamp
    promoted_from: str
    keep_until: _timestamp_pb2.Timestamp
    frozen: bool
    checks: _containers.RepeatedCompositeFieldContainer[GenerationCheck]
    evaluated_at: _timestamp_pb2.Timestamp
    baseline: str
    passed: bool
    dimensions: int
    ready_at: _timestamp_pb2.Timestamp
    evaluation_wanted_at: _timestamp_pb2.Timestamp
    retired_at: _timestamp_pb2.Timestamp
    events: _containers.RepeatedCompositeFieldContainer[GenerationEvent]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., points: _Optional[int] = ..., embedder: _Optional[str] = ..., chunker: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., documents: _Optional[int] = ..., pending: _Optional[int] = ..., settings: _Optional[_Mapping[str, str]] = ..., actor: _Optional[str] = ..., reason: _Optional[str] = ..., promoted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., promoted_from: _Optional[str] = ..., keep_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., frozen: _Optional[bool] = ..., checks: _Optional[_Iterable[_Union[GenerationCheck, _Mapping]]] = ..., evaluated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., baseline: _Optional[str] = ..., passed: _Optional[bool] = ..., dimensions: _Optional[int] = ..., ready_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evaluation_wanted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retired_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., events: _Optional[_Iterable[_Union[GenerationEvent, _Mapping]]] = ...) -> None: ...

class GenerationEvent(_message.Message):
    __slots__ = ("at", "actor", "action", "reason", "detail")
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    actor: str
    action: str
    reason: str
    detail: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class GenerationCheck(_message.Message):
    __slots__ = ("name", "passed", "detail", "figures")
    class FiguresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    detail: str
    figures: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., passed: _Optional[bool] = ..., detail: _Optional[str] = ..., figures: _Optional[_Mapping[str, float]] = ...) -> None: ...

class BuildGenerationRequest(_message.Message):
    __slots__ = ("name", "settings", "reason", "confirmed", "dry_run")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings: _containers.ScalarMap[str, str]
    reason: str
    confirmed: bool
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., settings: _Optional[_Mapping[str, str]] = ..., reason: _Optional[str] = ..., confirmed: _Optional[bool] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class BuildGenerationResponse(_message.Message):
    __slots__ = ("generation", "forecast")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    generation: str
    forecast: BuildForecast
    def __init__(self, generation: _Optional[str] = ..., forecast: _Optional[_Union[BuildForecast, _Mapping]] = ...) -> None: ...

class BuildForecast(_message.Message):
    __slots__ = ("documents", "chunks", "texts", "cached", "to_embed", "tokens", "seconds", "cost", "exact")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    TO_EMBED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    documents: int
    chunks: int
    texts: int
    cached: int
    to_embed: int
    tokens: int
    seconds: float
    cost: float
    exact: bool
    def __init__(self, documents: _Optional[int] = ..., chunks: _Optional[int] = ..., texts: _Optional[int] = ..., cached: _Optional[int] = ..., to_embed: _Optional[int] = ..., tokens: _Optional[int] = ..., seconds: _Optional[float] = ..., cost: _Optional[float] = ..., exact: _Optional[bool] = ...) -> None: ...

class EvaluateGenerationRequest(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    def __init__(self, generation: _Optional[str] = ...) -> None: ...

class EvaluateGenerationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PromoteGenerationRequest(_message.Message):
    __slots__ = ("generation", "override_reason", "reason")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    generation: str
    override_reason: str
    reason: str
    def __init__(self, generation: _Optional[str] = ..., override_reason: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PromoteGenerationResponse(_message.Message):
    __slots__ = ("move",)
    MOVE_FIELD_NUMBER: _ClassVar[int]
    move: GenerationMove
    def __init__(self, move: _Optional[_Union[GenerationMove, _Mapping]] = ...) -> None: ...

class GenerationMove(_message.Message):
    __slots__ = ("active", "before", "pending", "seconds")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    active: str
    before: str
    pending: int
    seconds: float
    def __init__(self, active: _Optional[str] = ..., before: _Optional[str] = ..., pending: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class RollbackGenerationRequest(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class RollbackGenerationResponse(_message.Message):
    __slots__ = ("move",)
    MOVE_FIELD_NUMBER: _ClassVar[int]
    move: GenerationMove
    def __init__(self, move: _Optional[_Union[GenerationMove, _Mapping]] = ...) -> None: ...

class RetireGenerationRequest(_message.Message):
    __slots__ = ("generation", "reason", "now")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    generation: str
    reason: str
    now: bool
    def __init__(self, generation: _Optional[str] = ..., reason: _Optional[str] = ..., now: _Optional[bool] = ...) -> None: ...

class RetireGenerationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
