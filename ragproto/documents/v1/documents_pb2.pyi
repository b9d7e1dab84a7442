import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AccessCheckKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_CHECK_KIND_UNSPECIFIED: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_CREDENTIALS: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_TENANT: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_STORED: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_ADMITTED: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_NOT_REFUSED: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_NOT_REVOKED: _ClassVar[AccessCheckKind]
    ACCESS_CHECK_KIND_INDEXED: _ClassVar[AccessCheckKind]

class AccessOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCESS_ORIGIN_UNSPECIFIED: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_TENANT: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_TOKEN: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_ACCOUNT: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_API_KEY: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_DIRECTORY: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_DOCUMENT: _ClassVar[AccessOrigin]
    ACCESS_ORIGIN_SOURCE: _ClassVar[AccessOrigin]
ACCESS_CHECK_KIND_UNSPECIFIED: AccessCheckKind
ACCESS_CHECK_KIND_CREDENTIALS: AccessCheckKind
ACCESS_CHECK_KIND_TENANT: AccessCheckKind
ACCESS_CHECK_KIND_STORED: AccessCheckKind
ACCESS_CHECK_KIND_ADMITTED: AccessCheckKind
ACCESS_CHECK_KIND_NOT_REFUSED: AccessCheckKind
ACCESS_CHECK_KIND_NOT_REVOKED: AccessCheckKind
ACCESS_CHECK_KIND_INDEXED: AccessCheckKind
ACCESS_ORIGIN_UNSPECIFIED: AccessOrigin
ACCESS_ORIGIN_TENANT: AccessOrigin
ACCESS_ORIGIN_TOKEN: AccessOrigin
ACCESS_ORIGIN_ACCOUNT: AccessOrigin
ACCESS_ORIGIN_API_KEY: AccessOrigin
ACCESS_ORIGIN_DIRECTORY: AccessOrigin
ACCESS_ORIGIN_DOCUMENT: AccessOrigin
ACCESS_ORIGIN_SOURCE: AccessOrigin

class PutRequest(_message.Message):
    __slots__ = ("doc_id", "source", "locator", "text", "data", "media_type", "title", "acl", "metadata", "source_version", "idempotency_key", "event_time")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    source: str
    locator: str
    text: str
    data: bytes
    media_type: str
    title: str
    acl: Acl
    metadata: _containers.ScalarMap[str, str]
    source_version: int
    idempotency_key: str
    event_time: _timestamp_pb2.Timestamp
    def __init__(self, doc_id: _Optional[str] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., text: _Optional[str] = ..., data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., title: _Optional[str] = ..., acl: _Optional[_Union[Acl, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., source_version: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Acl(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entries: _Optional[_Iterable[str]] = ...) -> None: ...

class PutResponse(_message.Message):
    __slots__ = ("doc_id", "source_version", "sequence", "accepted_at", "repeated")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    source_version: int
    sequence: int
    accepted_at: _timestamp_pb2.Timestamp
    repeated: bool
    def __init__(self, doc_id: _Optional[str] = ..., source_version: _Optional[int] = ..., sequence: _Optional[int] = ..., accepted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., repeated: _Optional[bool] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("doc_id", "include_text")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TEXT_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    include_text: bool
    def __init__(self, doc_id: _Optional[str] = ..., include_text: _Optional[bool] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("document", "text", "text_truncated")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    document: Document
    text: str
    text_truncated: bool
    def __init__(self, document: _Optional[_Union[Document, _Mapping]] = ..., text: _Optional[str] = ..., text_truncated: _Optional[bool] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("doc_id", "source", "locator", "title", "media_type", "language", "version", "source_version", "bytes", "updated_at", "metadata", "searchable", "pending")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SEARCHABLE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    source: str
    locator: str
    title: str
    media_type: str
    language: str
    version: int
    source_version: int
    bytes: int
    updated_at: _timestamp_pb2.Timestamp
    metadata: _containers.ScalarMap[str, str]
    searchable: bool
    pending: bool
    def __init__(self, doc_id: _Optional[str] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., title: _Optional[str] = ..., media_type: _Optional[str] = ..., language: _Optional[str] = ..., version: _Optional[int] = ..., source_version: _Optional[int] = ..., bytes: _Optional[int] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., searchable: _Optional[bool] = ..., pending: _Optional[bool] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("doc_id", "source", "locator", "source_version", "idempotency_key", "event_time")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    source: str
    locator: str
    source_version: int
    idempotency_key: str
    event_time: _timestamp_pb2.Timestamp
    def __init__(self, doc_id: _Optional[str] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., source_version: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("doc_id", "source_version", "sequence", "accepted_at", "repeated")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AT_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    source_version: int
    sequence: int
    accepted_at: _timestamp_pb2.Timestamp
    repeated: bool
    def __init__(self, doc_id: _Optional[str] = ..., source_version: _Optional[int] = ..., sequence: _Optional[int] = ..., accepted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., repeated: _Optional[bool] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("source", "page_size", "page_token")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    source: str
    page_size: int
    page_token: str
    def __init__(self, source: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ReceiveObjectEventsRequest(_message.Message):
    __slots__ = ("source", "event")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    source: str
    event: _struct_pb2.Struct
    def __init__(self, source: _Optional[str] = ..., event: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ReceiveObjectEventsResponse(_message.Message):
    __slots__ = ("objects",)
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    objects: int
    def __init__(self, objects: _Optional[int] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExplainAccessRequest(_message.Message):
    __slots__ = ("doc_id", "user", "groups", "reason")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    user: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, doc_id: _Optional[str] = ..., user: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ExplainAccessResponse(_message.Message):
    __slots__ = ("allowed", "checks", "entries", "acl")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    checks: _containers.RepeatedCompositeFieldContainer[AccessCheck]
    entries: _containers.RepeatedCompositeFieldContainer[AccessEntry]
    acl: _containers.RepeatedCompositeFieldContainer[AccessEntry]
    def __init__(self, allowed: _Optional[bool] = ..., checks: _Optional[_Iterable[_Union[AccessCheck, _Mapping]]] = ..., entries: _Optional[_Iterable[_Union[AccessEntry, _Mapping]]] = ..., acl: _Optional[_Iterable[_Union[AccessEntry, _Mapping]]] = ...) -> None: ...

class AccessCheck(_message.Message):
    __slots__ = ("kind", "passed", "detail", "since")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    kind: AccessCheckKind
    passed: bool
    detail: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[_Union[AccessCheckKind, str]] = ..., passed: _Optional[bool] = ..., detail: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AccessEntry(_message.Message):
    __slots__ = ("entry", "origin", "matches", "detail", "since")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    entry: str
    origin: AccessOrigin
    matches: bool
    detail: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, entry: _Optional[str] = ..., origin: _Optional[_Union[AccessOrigin, str]] = ..., matches: _Optional[bool] = ..., detail: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
