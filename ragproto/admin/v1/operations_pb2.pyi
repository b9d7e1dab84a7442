import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ragproto.query.v2 import query_pb2 as _query_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DocumentOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_ORDER_UNSPECIFIED: _ClassVar[DocumentOrder]
    DOCUMENT_ORDER_OLDEST: _ClassVar[DocumentOrder]
    DOCUMENT_ORDER_LOCATOR: _ClassVar[DocumentOrder]
    DOCUMENT_ORDER_LARGEST: _ClassVar[DocumentOrder]

class DocumentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_STATE_UNSPECIFIED: _ClassVar[DocumentState]
    DOCUMENT_STATE_SEARCHABLE: _ClassVar[DocumentState]
    DOCUMENT_STATE_PENDING: _ClassVar[DocumentState]
    DOCUMENT_STATE_DELETED: _ClassVar[DocumentState]
    DOCUMENT_STATE_WITHOUT_ACL: _ClassVar[DocumentState]
    DOCUMENT_STATE_QUARANTINED: _ClassVar[DocumentState]
    DOCUMENT_STATE_SKIPPED: _ClassVar[DocumentState]

class DocumentEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOCUMENT_EVENT_KIND_UNSPECIFIED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_STORED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_CHANGED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_INDEXED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_DELETED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_QUARANTINED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_PUSHED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_CITED: _ClassVar[DocumentEventKind]
    DOCUMENT_EVENT_KIND_ACTION: _ClassVar[DocumentEventKind]
DOCUMENT_ORDER_UNSPECIFIED: DocumentOrder
DOCUMENT_ORDER_OLDEST: DocumentOrder
DOCUMENT_ORDER_LOCATOR: DocumentOrder
DOCUMENT_ORDER_LARGEST: DocumentOrder
DOCUMENT_STATE_UNSPECIFIED: DocumentState
DOCUMENT_STATE_SEARCHABLE: DocumentState
DOCUMENT_STATE_PENDING: DocumentState
DOCUMENT_STATE_DELETED: DocumentState
DOCUMENT_STATE_WITHOUT_ACL: DocumentState
DOCUMENT_STATE_QUARANTINED: DocumentState
DOCUMENT_STATE_SKIPPED: DocumentState
DOCUMENT_EVENT_KIND_UNSPECIFIED: DocumentEventKind
DOCUMENT_EVENT_KIND_STORED: DocumentEventKind
DOCUMENT_EVENT_KIND_CHANGED: DocumentEventKind
DOCUMENT_EVENT_KIND_INDEXED: DocumentEventKind
DOCUMENT_EVENT_KIND_DELETED: DocumentEventKind
DOCUMENT_EVENT_KIND_QUARANTINED: DocumentEventKind
DOCUMENT_EVENT_KIND_PUSHED: DocumentEventKind
DOCUMENT_EVENT_KIND_CITED: DocumentEventKind
DOCUMENT_EVENT_KIND_ACTION: DocumentEventKind

class WhoAmIRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WhoAmIResponse(_message.Message):
    __slots__ = ("subject", "tenant", "scopes", "tenant_hashes")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    TENANT_HASHES_FIELD_NUMBER: _ClassVar[int]
    subject: str
    tenant: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    tenant_hashes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, subject: _Optional[str] = ..., tenant: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., tenant_hashes: _Optional[_Iterable[str]] = ...) -> None: ...

class SignOutRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SignOutResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSourcesRequest(_message.Message):
    __slots__ = ("tenant", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSourcesResponse(_message.Message):
    __slots__ = ("sources", "next_page_token")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedCompositeFieldContainer[SourceDetail]
    next_page_token: str
    def __init__(self, sources: _Optional[_Iterable[_Union[SourceDetail, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SourceDetail(_message.Message):
    __slots__ = ("name", "kind", "shards", "cursor", "acl", "held_deletions", "held_at", "approved_deletions", "last_complete_at", "last_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    HELD_DELETIONS_FIELD_NUMBER: _ClassVar[int]
    HELD_AT_FIELD_NUMBER: _ClassVar[int]
    APPROVED_DELETIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_COMPLETE_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    shards: int
    cursor: _struct_pb2.Struct
    acl: _containers.RepeatedScalarFieldContainer[str]
    held_deletions: int
    held_at: _timestamp_pb2.Timestamp
    approved_deletions: int
    last_complete_at: _timestamp_pb2.Timestamp
    last_run: RunStage
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., shards: _Optional[int] = ..., cursor: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., acl: _Optional[_Iterable[str]] = ..., held_deletions: _Optional[int] = ..., held_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., approved_deletions: _Optional[int] = ..., last_complete_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_run: _Optional[_Union[RunStage, _Mapping]] = ...) -> None: ...

class RunStage(_message.Message):
    __slots__ = ("run_id", "source", "shard", "stage", "counts", "seconds", "complete", "problem", "finished_at")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    source: str
    shard: int
    stage: str
    counts: _containers.ScalarMap[str, int]
    seconds: float
    complete: bool
    problem: str
    finished_at: _timestamp_pb2.Timestamp
    def __init__(self, run_id: _Optional[str] = ..., source: _Optional[str] = ..., shard: _Optional[int] = ..., stage: _Optional[str] = ..., counts: _Optional[_Mapping[str, int]] = ..., seconds: _Optional[float] = ..., complete: _Optional[bool] = ..., problem: _Optional[str] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("source", "limit", "tenant", "page_size", "page_token")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    source: str
    limit: int
    tenant: str
    page_size: int
    page_token: str
    def __init__(self, source: _Optional[str] = ..., limit: _Optional[int] = ..., tenant: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("stages", "next_page_token")
    STAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    stages: _containers.RepeatedCompositeFieldContainer[RunStage]
    next_page_token: str
    def __init__(self, stages: _Optional[_Iterable[_Union[RunStage, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReleaseDeletionsRequest(_message.Message):
    __slots__ = ("source", "reason", "expected")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    source: str
    reason: str
    expected: int
    def __init__(self, source: _Optional[str] = ..., reason: _Optional[str] = ..., expected: _Optional[int] = ...) -> None: ...

class ReleaseDeletionsResponse(_message.Message):
    __slots__ = ("released",)
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    released: int
    def __init__(self, released: _Optional[int] = ...) -> None: ...

class ListQuarantineRequest(_message.Message):
    __slots__ = ("source", "reason", "stage", "include_skipped", "limit", "page_token", "page_size")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SKIPPED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    source: str
    reason: str
    stage: str
    include_skipped: bool
    limit: int
    page_token: str
    page_size: int
    def __init__(self, source: _Optional[str] = ..., reason: _Optional[str] = ..., stage: _Optional[str] = ..., include_skipped: _Optional[bool] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListQuarantineResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "counts")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[QuarantineEntry]
    next_page_token: str
    counts: _containers.RepeatedCompositeFieldContainer[QuarantineCount]
    def __init__(self, entries: _Optional[_Iterable[_Union[QuarantineEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., counts: _Optional[_Iterable[_Union[QuarantineCount, _Mapping]]] = ...) -> None: ...

class QuarantineCount(_message.Message):
    __slots__ = ("source", "reason", "entries")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    source: str
    reason: str
    entries: int
    def __init__(self, source: _Optional[str] = ..., reason: _Optional[str] = ..., entries: _Optional[int] = ...) -> None: ...

class QuarantineEntry(_message.Message):
    __slots__ = ("id", "source", "locator", "stage", "reason", "message", "attempts", "skipped", "run_id", "first_at", "last_at", "remedy")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    id: int
    source: str
    locator: str
    stage: str
    reason: str
    message: str
    attempts: int
    skipped: bool
    run_id: str
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    remedy: str
    def __init__(self, id: _Optional[int] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., stage: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., attempts: _Optional[int] = ..., skipped: _Optional[bool] = ..., run_id: _Optional[str] = ..., first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., remedy: _Optional[str] = ...) -> None: ...

class GetQuarantineEntryRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class GetQuarantineEntryResponse(_message.Message):
    __slots__ = ("entry", "payload", "payload_truncated", "payload_withheld")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    entry: QuarantineEntry
    payload: str
    payload_truncated: bool
    payload_withheld: bool
    def __init__(self, entry: _Optional[_Union[QuarantineEntry, _Mapping]] = ..., payload: _Optional[str] = ..., payload_truncated: _Optional[bool] = ..., payload_withheld: _Optional[bool] = ...) -> None: ...

class RedriveQuarantineRequest(_message.Message):
    __slots__ = ("ids", "reason")
    IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ...) -> None: ...

class RedriveQuarantineResponse(_message.Message):
    __slots__ = ("locators",)
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    locators: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, locators: _Optional[_Iterable[str]] = ...) -> None: ...

class DiscardQuarantineRequest(_message.Message):
    __slots__ = ("ids", "reason")
    IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ...) -> None: ...

class DiscardQuarantineResponse(_message.Message):
    __slots__ = ("locators",)
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    locators: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, locators: _Optional[_Iterable[str]] = ...) -> None: ...

class FindDocumentsRequest(_message.Message):
    __slots__ = ("text", "source", "limit", "state", "media_type", "changed_from", "changed_before", "order", "page_token", "count", "page_size", "exclude_deleted", "held_for_deletion")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FROM_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_DELETED_FIELD_NUMBER: _ClassVar[int]
    HELD_FOR_DELETION_FIELD_NUMBER: _ClassVar[int]
    text: str
    source: str
    limit: int
    state: DocumentState
    media_type: str
    changed_from: _timestamp_pb2.Timestamp
    changed_before: _timestamp_pb2.Timestamp
    order: DocumentOrder
    page_token: str
    count: bool
    page_size: int
    exclude_deleted: bool
    held_for_deletion: bool
    def __init__(self, text: _Optional[str] = ..., source: _Optional[str] = ..., limit: _Optional[int] = ..., state: _Optional[_Union[DocumentState, str]] = ..., media_type: _Optional[str] = ..., changed_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order: _Optional[_Union[DocumentOrder, str]] = ..., page_token: _Optional[str] = ..., count: _Optional[bool] = ..., page_size: _Optional[int] = ..., exclude_deleted: _Optional[bool] = ..., held_for_deletion: _Optional[bool] = ...) -> None: ...

class FindDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token", "counts")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[DocumentRow]
    next_page_token: str
    counts: DocumentCounts
    def __init__(self, documents: _Optional[_Iterable[_Union[DocumentRow, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., counts: _Optional[_Union[DocumentCounts, _Mapping]] = ...) -> None: ...

class DocumentCounts(_message.Message):
    __slots__ = ("documents", "more", "media_types")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPES_FIELD_NUMBER: _ClassVar[int]
    documents: int
    more: bool
    media_types: _containers.RepeatedCompositeFieldContainer[MediaTypeCount]
    def __init__(self, documents: _Optional[int] = ..., more: _Optional[bool] = ..., media_types: _Optional[_Iterable[_Union[MediaTypeCount, _Mapping]]] = ...) -> None: ...

class MediaTypeCount(_message.Message):
    __slots__ = ("media_type", "documents")
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    media_type: str
    documents: int
    def __init__(self, media_type: _Optional[str] = ..., documents: _Optional[int] = ...) -> None: ...

class DocumentRow(_message.Message):
    __slots__ = ("doc_id", "source", "locator", "title", "version", "updated_at", "state", "media_type", "bytes", "quarantine_id")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_ID_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    source: str
    locator: str
    title: str
    version: int
    updated_at: _timestamp_pb2.Timestamp
    state: DocumentState
    media_type: str
    bytes: int
    quarantine_id: int
    def __init__(self, doc_id: _Optional[str] = ..., source: _Optional[str] = ..., locator: _Optional[str] = ..., title: _Optional[str] = ..., version: _Optional[int] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[DocumentState, str]] = ..., media_type: _Optional[str] = ..., bytes: _Optional[int] = ..., quarantine_id: _Optional[int] = ...) -> None: ...

class InspectDocumentRequest(_message.Message):
    __slots__ = ("doc_id",)
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    def __init__(self, doc_id: _Optional[str] = ...) -> None: ...

class InspectDocumentResponse(_message.Message):
    __slots__ = ("document", "media_type", "language", "bytes", "acl", "acl_inherited", "metadata", "flags", "run_id", "deleted_at", "text", "text_truncated", "text_withheld", "chunks", "generations", "quarantine", "first_stored_at", "history", "pushed", "change_pending", "revocation_pending", "cited", "copies")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    ACL_INHERITED_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_AT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TEXT_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_FIELD_NUMBER: _ClassVar[int]
    FIRST_STORED_AT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PUSHED_FIELD_NUMBER: _ClassVar[int]
    CHANGE_PENDING_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_PENDING_FIELD_NUMBER: _ClassVar[int]
    CITED_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    document: DocumentRow
    media_type: str
    language: str
    bytes: int
    acl: _containers.RepeatedScalarFieldContainer[str]
    acl_inherited: bool
    metadata: _containers.ScalarMap[str, str]
    flags: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    deleted_at: _timestamp_pb2.Timestamp
    text: str
    text_truncated: bool
    text_withheld: bool
    chunks: _containers.RepeatedCompositeFieldContainer[ChunkSpan]
    generations: _containers.RepeatedCompositeFieldContainer[GenerationVersion]
    quarantine: QuarantineEntry
    first_stored_at: _timestamp_pb2.Timestamp
    history: _containers.RepeatedCompositeFieldContainer[DocumentEvent]
    pushed: bool
    change_pending: bool
    revocation_pending: bool
    cited: int
    copies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, document: _Optional[_Union[DocumentRow, _Mapping]] = ..., media_type: _Optional[str] = ..., language: _Optional[str] = ..., bytes: _Optional[int] = ..., acl: _Optional[_Iterable[str]] = ..., acl_inherited: _Optional[bool] = ..., metadata: _Optional[_Mapping[str, str]] = ..., flags: _Optional[_Iterable[str]] = ..., run_id: _Optional[str] = ..., deleted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., text: _Optional[str] = ..., text_truncated: _Optional[bool] = ..., text_withheld: _Optional[bool] = ..., chunks: _Optional[_Iterable[_Union[ChunkSpan, _Mapping]]] = ..., generations: _Optional[_Iterable[_Union[GenerationVersion, _Mapping]]] = ..., quarantine: _Optional[_Union[QuarantineEntry, _Mapping]] = ..., first_stored_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., history: _Optional[_Iterable[_Union[DocumentEvent, _Mapping]]] = ..., pushed: _Optional[bool] = ..., change_pending: _Optional[bool] = ..., revocation_pending: _Optional[bool] = ..., cited: _Optional[int] = ..., copies: _Optional[_Iterable[str]] = ...) -> None: ...

class DocumentEvent(_message.Message):
    __slots__ = ("at", "kind", "version", "run_id", "detail", "actor", "times")
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    kind: DocumentEventKind
    version: int
    run_id: str
    detail: str
    actor: str
    times: int
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[DocumentEventKind, str]] = ..., version: _Optional[int] = ..., run_id: _Optional[str] = ..., detail: _Optional[str] = ..., actor: _Optional[str] = ..., times: _Optional[int] = ...) -> None: ...

class ReindexDocumentRequest(_message.Message):
    __slots__ = ("doc_id", "reason")
    DOC_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    doc_id: str
    reason: str
    def __init__(self, doc_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReindexDocumentResponse(_message.Message):
    __slots__ = ("source", "generations")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    source: str
    generations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, source: _Optional[str] = ..., generations: _Optional[_Iterable[str]] = ...) -> None: ...

class ListSourceHistoryRequest(_message.Message):
    __slots__ = ("limit", "changed_from", "page_size", "page_token")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FROM_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    changed_from: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, limit: _Optional[int] = ..., changed_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSourceHistoryResponse(_message.Message):
    __slots__ = ("sources", "next_page_token")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedCompositeFieldContainer[SourceHistory]
    next_page_token: str
    def __init__(self, sources: _Optional[_Iterable[_Union[SourceHistory, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SourceHistory(_message.Message):
    __slots__ = ("source", "points", "changes", "runs")
    class ChangesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    source: str
    points: _containers.RepeatedCompositeFieldContainer[SourceHistoryPoint]
    changes: _containers.ScalarMap[str, int]
    runs: int
    def __init__(self, source: _Optional[str] = ..., points: _Optional[_Iterable[_Union[SourceHistoryPoint, _Mapping]]] = ..., changes: _Optional[_Mapping[str, int]] = ..., runs: _Optional[int] = ...) -> None: ...

class SourceHistoryPoint(_message.Message):
    __slots__ = ("run_id", "finished_at", "documents", "quarantined", "complete", "problem")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    finished_at: _timestamp_pb2.Timestamp
    documents: int
    quarantined: int
    complete: bool
    problem: str
    def __init__(self, run_id: _Optional[str] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., documents: _Optional[int] = ..., quarantined: _Optional[int] = ..., complete: _Optional[bool] = ..., problem: _Optional[str] = ...) -> None: ...

class ChunkSpan(_message.Message):
    __slots__ = ("chunk_id", "ordinal", "start", "end", "headings", "tokens", "embedded")
    CHUNK_ID_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    chunk_id: str
    ordinal: int
    start: int
    end: int
    headings: _containers.RepeatedScalarFieldContainer[str]
    tokens: int
    embedded: bool
    def __init__(self, chunk_id: _Optional[str] = ..., ordinal: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., headings: _Optional[_Iterable[str]] = ..., tokens: _Optional[int] = ..., embedded: _Optional[bool] = ...) -> None: ...

class GenerationVersion(_message.Message):
    __slots__ = ("generation", "state", "indexed_version")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INDEXED_VERSION_FIELD_NUMBER: _ClassVar[int]
    generation: str
    state: str
    indexed_version: int
    def __init__(self, generation: _Optional[str] = ..., state: _Optional[str] = ..., indexed_version: _Optional[int] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("actor", "action", "target", "limit", "page_token", "tenant", "since", "until", "outcome", "page_size")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    actor: str
    action: str
    target: str
    limit: int
    page_token: str
    tenant: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    outcome: str
    page_size: int
    def __init__(self, actor: _Optional[str] = ..., action: _Optional[str] = ..., target: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("records", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("id", "at", "actor", "action", "target", "details", "outcome")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    actor: str
    action: str
    target: str
    details: _struct_pb2.Struct
    outcome: str
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., target: _Optional[str] = ..., details: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., outcome: _Optional[str] = ...) -> None: ...

class RecordActionRequest(_message.Message):
    __slots__ = ("action", "target", "reason", "details", "source")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    action: str
    target: str
    reason: str
    details: _containers.ScalarMap[str, str]
    source: str
    def __init__(self, action: _Optional[str] = ..., target: _Optional[str] = ..., reason: _Optional[str] = ..., details: _Optional[_Mapping[str, str]] = ..., source: _Optional[str] = ...) -> None: ...

class RecordActionResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class RateAnswerRequest(_message.Message):
    __slots__ = ("question", "answer", "good", "comment", "generation", "citations", "right_doc_id")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    GOOD_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    RIGHT_DOC_ID_FIELD_NUMBER: _ClassVar[int]
    question: str
    answer: str
    good: bool
    comment: str
    generation: str
    citations: _containers.RepeatedCompositeFieldContainer[CitedSpan]
    right_doc_id: str
    def __init__(self, question: _Optional[str] = ..., answer: _Optional[str] = ..., good: _Optional[bool] = ..., comment: _Optional[str] = ..., generation: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[CitedSpan, _Mapping]]] = ..., right_doc_id: _Optional[str] = ...) -> None: ...

class CitedSpan(_message.Message):
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

class RateAnswerResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class ListRatingsRequest(_message.Message):
    __slots__ = ("limit", "page_size", "page_token")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    page_size: int
    page_token: str
    def __init__(self, limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRatingsResponse(_message.Message):
    __slots__ = ("ratings", "next_page_token")
    RATINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ratings: _containers.RepeatedCompositeFieldContainer[Rating]
    next_page_token: str
    def __init__(self, ratings: _Optional[_Iterable[_Union[Rating, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Rating(_message.Message):
    __slots__ = ("id", "at", "actor", "judgement")
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    JUDGEMENT_FIELD_NUMBER: _ClassVar[int]
    id: int
    at: _timestamp_pb2.Timestamp
    actor: str
    judgement: RateAnswerRequest
    def __init__(self, id: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., judgement: _Optional[_Union[RateAnswerRequest, _Mapping]] = ...) -> None: ...

class ListAlertsRequest(_message.Message):
    __slots__ = ("include_ended", "limit", "page_size", "page_token")
    INCLUDE_ENDED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    include_ended: bool
    limit: int
    page_size: int
    page_token: str
    def __init__(self, include_ended: _Optional[bool] = ..., limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAlertsResponse(_message.Message):
    __slots__ = ("alerts", "next_page_token")
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    alerts: _containers.RepeatedCompositeFieldContainer[Alert]
    next_page_token: str
    def __init__(self, alerts: _Optional[_Iterable[_Union[Alert, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("kind", "severity", "source", "summary", "started_at", "ended_at")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    severity: str
    source: str
    summary: str
    started_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., severity: _Optional[str] = ..., source: _Optional[str] = ..., summary: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListQualityRequest(_message.Message):
    __slots__ = ("source", "limit", "page_size", "page_token")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    source: str
    limit: int
    page_size: int
    page_token: str
    def __init__(self, source: _Optional[str] = ..., limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListQualityResponse(_message.Message):
    __slots__ = ("results", "findings", "next_page_token")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[QualityResult]
    findings: _containers.RepeatedCompositeFieldContainer[RuleFinding]
    next_page_token: str
    def __init__(self, results: _Optional[_Iterable[_Union[QualityResult, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[RuleFinding, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class QualityResult(_message.Message):
    __slots__ = ("run_id", "shard", "score", "failed", "tried", "exceeded", "warnings", "errors", "documents", "duplicates", "flagged", "median_bytes", "languages", "finished_at")
    class WarningsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class ErrorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class LanguagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    TRIED_FIELD_NUMBER: _ClassVar[int]
    EXCEEDED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_BYTES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    shard: int
    score: float
    failed: int
    tried: int
    exceeded: bool
    warnings: _containers.ScalarMap[str, float]
    errors: _containers.ScalarMap[str, float]
    documents: int
    duplicates: int
    flagged: int
    median_bytes: float
    languages: _containers.ScalarMap[str, int]
    finished_at: _timestamp_pb2.Timestamp
    def __init__(self, run_id: _Optional[str] = ..., shard: _Optional[int] = ..., score: _Optional[float] = ..., failed: _Optional[int] = ..., tried: _Optional[int] = ..., exceeded: _Optional[bool] = ..., warnings: _Optional[_Mapping[str, float]] = ..., errors: _Optional[_Mapping[str, float]] = ..., documents: _Optional[int] = ..., duplicates: _Optional[int] = ..., flagged: _Optional[int] = ..., median_bytes: _Optional[float] = ..., languages: _Optional[_Mapping[str, int]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RuleFinding(_message.Message):
    __slots__ = ("rule", "found", "samples")
    RULE_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    rule: str
    found: int
    samples: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rule: _Optional[str] = ..., found: _Optional[int] = ..., samples: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchGenerationRequest(_message.Message):
    __slots__ = ("generation", "search")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    generation: str
    search: _query_pb2.SearchRequest
    def __init__(self, generation: _Optional[str] = ..., search: _Optional[_Union[_query_pb2.SearchRequest, _Mapping]] = ...) -> None: ...

class SearchGenerationResponse(_message.Message):
    __slots__ = ("found",)
    FOUND_FIELD_NUMBER: _ClassVar[int]
    found: _query_pb2.SearchResponse
    def __init__(self, found: _Optional[_Union[_query_pb2.SearchResponse, _Mapping]] = ...) -> None: ...

class SearchAsRequest(_message.Message):
    __slots__ = ("tenant", "subject", "groups", "reason", "search")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    subject: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    search: _query_pb2.SearchRequest
    def __init__(self, tenant: _Optional[str] = ..., subject: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., search: _Optional[_Union[_query_pb2.SearchRequest, _Mapping]] = ...) -> None: ...

class SearchAsResponse(_message.Message):
    __slots__ = ("found", "withheld")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    found: _query_pb2.SearchResponse
    withheld: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, found: _Optional[_Union[_query_pb2.SearchResponse, _Mapping]] = ..., withheld: _Optional[_Iterable[str]] = ...) -> None: ...
