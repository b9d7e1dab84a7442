import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CurationAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CURATION_ACTION_UNSPECIFIED: _ClassVar[CurationAction]
    CURATION_ACTION_ANSWER: _ClassVar[CurationAction]
    CURATION_ACTION_PIN: _ClassVar[CurationAction]
    CURATION_ACTION_BOOST: _ClassVar[CurationAction]
    CURATION_ACTION_HIDE: _ClassVar[CurationAction]
CURATION_ACTION_UNSPECIFIED: CurationAction
CURATION_ACTION_ANSWER: CurationAction
CURATION_ACTION_PIN: CurationAction
CURATION_ACTION_BOOST: CurationAction
CURATION_ACTION_HIDE: CurationAction

class Curation(_message.Message):
    __slots__ = ("id", "questions", "action", "answer", "doc_id", "acl", "owner", "ends_at", "changed_by", "changed_at", "source", "locator")
    ID_FIELD_NUMBER: _ClassVar[int]
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BY_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    questions: _containers.RepeatedScalarFieldContainer[str]
    action: CurationAction
    answer: str
    doc_id: str
    acl: _containers.RepeatedScalarFieldContainer[str]
    owner: str
    ends_at: _timestamp_pb2.Timestamp
    changed_by: str
    changed_at: _timestamp_pb2.Timestamp
    source: str
    locator: str
    def __init__(self, id: _Optional[int] = ..., questions: _Optional[_Iterable[str]] = ..., action: _Optional[_Union[CurationAction, str]] = ..., answer: _Optional[str] = ..., doc_id: _Optional[str] = ..., acl: _Optional[_Iterable[str]] = ..., owner: _Optional[str] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_by: _Optional[str] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ...) -> None: ...

class AppliedCuration(_message.Message):
    __slots__ = ("id", "action", "question", "owner", "ends_at", "changed_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    id: int
    action: CurationAction
    question: str
    owner: str
    ends_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., action: _Optional[_Union[CurationAction, str]] = ..., question: _Optional[str] = ..., owner: _Optional[str] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListCurationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCurationsResponse(_message.Message):
    __slots__ = ("curations", "next_page_token")
    CURATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    curations: _containers.RepeatedCompositeFieldContainer[Curation]
    next_page_token: str
    def __init__(self, curations: _Optional[_Iterable[_Union[Curation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SaveCurationRequest(_message.Message):
    __slots__ = ("curation", "reason")
    CURATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    curation: Curation
    reason: str
    def __init__(self, curation: _Optional[_Union[Curation, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class SaveCurationResponse(_message.Message):
    __slots__ = ("curation",)
    CURATION_FIELD_NUMBER: _ClassVar[int]
    curation: Curation
    def __init__(self, curation: _Optional[_Union[Curation, _Mapping]] = ...) -> None: ...

class RemoveCurationRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: int
    reason: str
    def __init__(self, id: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveCurationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
