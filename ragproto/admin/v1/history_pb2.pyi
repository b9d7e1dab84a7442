import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetHistoryRequest(_message.Message):
    __slots__ = ("span", "tenant", "all_tenants")
    SPAN_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ALL_TENANTS_FIELD_NUMBER: _ClassVar[int]
    span: str
    tenant: str
    all_tenants: bool
    def __init__(self, span: _Optional[str] = ..., tenant: _Optional[str] = ..., all_tenants: _Optional[bool] = ...) -> None: ...

class GetHistoryResponse(_message.Message):
    __slots__ = ("begins_at", "ends_at", "step_seconds", "series", "recording")
    BEGINS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    STEP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    begins_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    step_seconds: int
    series: _containers.RepeatedCompositeFieldContainer[HistorySeries]
    recording: bool
    def __init__(self, begins_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step_seconds: _Optional[int] = ..., series: _Optional[_Iterable[_Union[HistorySeries, _Mapping]]] = ..., recording: _Optional[bool] = ...) -> None: ...

class HistorySeries(_message.Message):
    __slots__ = ("name", "label", "points", "total")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: str
    points: _containers.RepeatedCompositeFieldContainer[HistoryPoint]
    total: float
    def __init__(self, name: _Optional[str] = ..., label: _Optional[str] = ..., points: _Optional[_Iterable[_Union[HistoryPoint, _Mapping]]] = ..., total: _Optional[float] = ...) -> None: ...

class HistoryPoint(_message.Message):
    __slots__ = ("at", "value")
    AT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    at: int
    value: float
    def __init__(self, at: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...

class ListUnansweredQuestionsRequest(_message.Message):
    __slots__ = ("span", "limit", "page_size", "page_token")
    SPAN_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    span: str
    limit: int
    page_size: int
    page_token: str
    def __init__(self, span: _Optional[str] = ..., limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListUnansweredQuestionsResponse(_message.Message):
    __slots__ = ("questions", "mode", "next_page_token")
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[UnansweredQuestion]
    mode: str
    next_page_token: str
    def __init__(self, questions: _Optional[_Iterable[_Union[UnansweredQuestion, _Mapping]]] = ..., mode: _Optional[str] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UnansweredQuestion(_message.Message):
    __slots__ = ("question_hash", "question", "question_withheld", "outcome", "asked", "first_at", "last_at")
    QUESTION_HASH_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    QUESTION_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    question_hash: str
    question: str
    question_withheld: bool
    outcome: str
    asked: int
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    def __init__(self, question_hash: _Optional[str] = ..., question: _Optional[str] = ..., question_withheld: _Optional[bool] = ..., outcome: _Optional[str] = ..., asked: _Optional[int] = ..., first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
