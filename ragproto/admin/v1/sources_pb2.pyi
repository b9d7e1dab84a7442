import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SourceAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_ACTION_UNSPECIFIED: _ClassVar[SourceAction]
    SOURCE_ACTION_CHECK: _ClassVar[SourceAction]
    SOURCE_ACTION_PREVIEW: _ClassVar[SourceAction]
    SOURCE_ACTION_READ: _ClassVar[SourceAction]
    SOURCE_ACTION_CREATE: _ClassVar[SourceAction]
    SOURCE_ACTION_UPDATE: _ClassVar[SourceAction]
    SOURCE_ACTION_DELETE: _ClassVar[SourceAction]
    SOURCE_ACTION_KINDS: _ClassVar[SourceAction]
    SOURCE_ACTION_BROWSE: _ClassVar[SourceAction]

class SourceOperationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_OPERATION_STATE_UNSPECIFIED: _ClassVar[SourceOperationState]
    SOURCE_OPERATION_STATE_QUEUED: _ClassVar[SourceOperationState]
    SOURCE_OPERATION_STATE_RUNNING: _ClassVar[SourceOperationState]
    SOURCE_OPERATION_STATE_SUCCEEDED: _ClassVar[SourceOperationState]
    SOURCE_OPERATION_STATE_FAILED: _ClassVar[SourceOperationState]
SOURCE_ACTION_UNSPECIFIED: SourceAction
SOURCE_ACTION_CHECK: SourceAction
SOURCE_ACTION_PREVIEW: SourceAction
SOURCE_ACTION_READ: SourceAction
SOURCE_ACTION_CREATE: SourceAction
SOURCE_ACTION_UPDATE: SourceAction
SOURCE_ACTION_DELETE: SourceAction
SOURCE_ACTION_KINDS: SourceAction
SOURCE_ACTION_BROWSE: SourceAction
SOURCE_OPERATION_STATE_UNSPECIFIED: SourceOperationState
SOURCE_OPERATION_STATE_QUEUED: SourceOperationState
SOURCE_OPERATION_STATE_RUNNING: SourceOperationState
SOURCE_OPERATION_STATE_SUCCEEDED: SourceOperationState
SOURCE_OPERATION_STATE_FAILED: SourceOperationState

class GetSourcePermissionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSourcePermissionsResponse(_message.Message):
    __slots__ = ("allowed", "unrestricted", "roots", "hosts", "secrets", "delete_guard_fraction", "delete_guard_minimum")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    UNRESTRICTED_FIELD_NUMBER: _ClassVar[int]
    ROOTS_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    DELETE_GUARD_FRACTION_FIELD_NUMBER: _ClassVar[int]
    DELETE_GUARD_MINIMUM_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    unrestricted: bool
    roots: _containers.RepeatedScalarFieldContainer[str]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    secrets: _containers.RepeatedScalarFieldContainer[str]
    delete_guard_fraction: float
    delete_guard_minimum: int
    def __init__(self, allowed: _Optional[bool] = ..., unrestricted: _Optional[bool] = ..., roots: _Optional[_Iterable[str]] = ..., hosts: _Optional[_Iterable[str]] = ..., secrets: _Optional[_Iterable[str]] = ..., delete_guard_fraction: _Optional[float] = ..., delete_guard_minimum: _Optional[int] = ...) -> None: ...

class ListSourceSecretsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSourceSecretsResponse(_message.Message):
    __slots__ = ("names", "can_store", "next_page_token")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    CAN_STORE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    can_store: bool
    next_page_token: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., can_store: _Optional[bool] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetSourceSecretRequest(_message.Message):
    __slots__ = ("name", "value", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SetSourceSecretResponse(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveSourceSecretRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveSourceSecretResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StartSourceOperationRequest(_message.Message):
    __slots__ = ("action", "source", "definition", "digest", "dry_run", "unchecked", "reason")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    UNCHECKED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    action: SourceAction
    source: str
    definition: str
    digest: str
    dry_run: bool
    unchecked: bool
    reason: str
    def __init__(self, action: _Optional[_Union[SourceAction, str]] = ..., source: _Optional[str] = ..., definition: _Optional[str] = ..., digest: _Optional[str] = ..., dry_run: _Optional[bool] = ..., unchecked: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class StartSourceOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: SourceOperation
    def __init__(self, operation: _Optional[_Union[SourceOperation, _Mapping]] = ...) -> None: ...

class GetSourceOperationRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class GetSourceOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: SourceOperation
    def __init__(self, operation: _Optional[_Union[SourceOperation, _Mapping]] = ...) -> None: ...

class SourceOperation(_message.Message):
    __slots__ = ("id", "action", "source", "state", "reason", "message", "requested_at", "finished_at", "check", "preview", "file", "removal", "kinds", "offers")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    REMOVAL_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    id: int
    action: SourceAction
    source: str
    state: SourceOperationState
    reason: str
    message: str
    requested_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    check: SourceCheck
    preview: SourcePreview
    file: SourceFile
    removal: SourceRemoval
    kinds: SourceKinds
    offers: SourceOffers
    def __init__(self, id: _Optional[int] = ..., action: _Optional[_Union[SourceAction, str]] = ..., source: _Optional[str] = ..., state: _Optional[_Union[SourceOperationState, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., requested_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., check: _Optional[_Union[SourceCheck, _Mapping]] = ..., preview: _Optional[_Union[SourcePreview, _Mapping]] = ..., file: _Optional[_Union[SourceFile, _Mapping]] = ..., removal: _Optional[_Union[SourceRemoval, _Mapping]] = ..., kinds: _Optional[_Union[SourceKinds, _Mapping]] = ..., offers: _Optional[_Union[SourceOffers, _Mapping]] = ...) -> None: ...

class SourceOffers(_message.Message):
    __slots__ = ("offers", "more", "sample", "suggested")
    class SuggestedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedCompositeFieldContainer[SourceOffer]
    more: bool
    sample: str
    suggested: _containers.ScalarMap[str, str]
    def __init__(self, offers: _Optional[_Iterable[_Union[SourceOffer, _Mapping]]] = ..., more: _Optional[bool] = ..., sample: _Optional[str] = ..., suggested: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SourceOffer(_message.Message):
    __slots__ = ("type", "value", "about")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    type: str
    value: str
    about: str
    def __init__(self, type: _Optional[str] = ..., value: _Optional[str] = ..., about: _Optional[str] = ...) -> None: ...

class SourceKinds(_message.Message):
    __slots__ = ("kinds",)
    KINDS_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedCompositeFieldContainer[SourceKind]
    def __init__(self, kinds: _Optional[_Iterable[_Union[SourceKind, _Mapping]]] = ...) -> None: ...

class SourceKind(_message.Message):
    __slots__ = ("name", "package", "version", "problem", "missing", "readers", "cards", "stream", "former_name")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    READERS_FIELD_NUMBER: _ClassVar[int]
    CARDS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    FORMER_NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    package: str
    version: str
    problem: str
    missing: str
    readers: str
    cards: _containers.RepeatedCompositeFieldContainer[SourceCard]
    stream: bool
    former_name: str
    def __init__(self, name: _Optional[str] = ..., package: _Optional[str] = ..., version: _Optional[str] = ..., problem: _Optional[str] = ..., missing: _Optional[str] = ..., readers: _Optional[str] = ..., cards: _Optional[_Iterable[_Union[SourceCard, _Mapping]]] = ..., stream: _Optional[bool] = ..., former_name: _Optional[str] = ...) -> None: ...

class SourceCard(_message.Message):
    __slots__ = ("name", "title", "about", "icon", "location", "fields", "fixed", "browse")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    ICON_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    FIXED_FIELD_NUMBER: _ClassVar[int]
    BROWSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    about: str
    icon: str
    location: str
    fields: _containers.RepeatedCompositeFieldContainer[SourceField]
    fixed: _struct_pb2.Struct
    browse: str
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., about: _Optional[str] = ..., icon: _Optional[str] = ..., location: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[SourceField, _Mapping]]] = ..., fixed: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., browse: _Optional[str] = ...) -> None: ...

class SourceField(_message.Message):
    __slots__ = ("path", "label", "type", "required", "help", "default", "choices", "only_path", "only_values", "offered", "narrows")
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    HELP_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    ONLY_PATH_FIELD_NUMBER: _ClassVar[int]
    ONLY_VALUES_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    NARROWS_FIELD_NUMBER: _ClassVar[int]
    path: str
    label: str
    type: str
    required: bool
    help: str
    default: str
    choices: _containers.RepeatedScalarFieldContainer[str]
    only_path: str
    only_values: _containers.RepeatedScalarFieldContainer[str]
    offered: str
    narrows: bool
    def __init__(self, path: _Optional[str] = ..., label: _Optional[str] = ..., type: _Optional[str] = ..., required: _Optional[bool] = ..., help: _Optional[str] = ..., default: _Optional[str] = ..., choices: _Optional[_Iterable[str]] = ..., only_path: _Optional[str] = ..., only_values: _Optional[_Iterable[str]] = ..., offered: _Optional[str] = ..., narrows: _Optional[bool] = ...) -> None: ...

class SourceCheck(_message.Message):
    __slots__ = ("ok", "items", "more", "sample", "problems", "reason", "message", "remedy")
    OK_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    items: int
    more: bool
    sample: _containers.RepeatedScalarFieldContainer[str]
    problems: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    message: str
    remedy: str
    def __init__(self, ok: _Optional[bool] = ..., items: _Optional[int] = ..., more: _Optional[bool] = ..., sample: _Optional[_Iterable[str]] = ..., problems: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ...) -> None: ...

class SourcePreview(_message.Message):
    __slots__ = ("items", "listed", "more", "chunks", "reason", "message", "remedy")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[SourcePreviewItem]
    listed: int
    more: bool
    chunks: _containers.RepeatedCompositeFieldContainer[SourcePreviewChunk]
    reason: str
    message: str
    remedy: str
    def __init__(self, items: _Optional[_Iterable[_Union[SourcePreviewItem, _Mapping]]] = ..., listed: _Optional[int] = ..., more: _Optional[bool] = ..., chunks: _Optional[_Iterable[_Union[SourcePreviewChunk, _Mapping]]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ...) -> None: ...

class SourcePreviewItem(_message.Message):
    __slots__ = ("locator", "title", "size", "media_type", "ok", "reason", "message", "skipped", "chars", "acl")
    LOCATOR_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    CHARS_FIELD_NUMBER: _ClassVar[int]
    ACL_FIELD_NUMBER: _ClassVar[int]
    locator: str
    title: str
    size: int
    media_type: str
    ok: bool
    reason: str
    message: str
    skipped: bool
    chars: int
    acl: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, locator: _Optional[str] = ..., title: _Optional[str] = ..., size: _Optional[int] = ..., media_type: _Optional[str] = ..., ok: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., skipped: _Optional[bool] = ..., chars: _Optional[int] = ..., acl: _Optional[_Iterable[str]] = ...) -> None: ...

class SourcePreviewChunk(_message.Message):
    __slots__ = ("title", "headings", "text", "tokens")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    HEADINGS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    title: str
    headings: _containers.RepeatedScalarFieldContainer[str]
    text: str
    tokens: int
    def __init__(self, title: _Optional[str] = ..., headings: _Optional[_Iterable[str]] = ..., text: _Optional[str] = ..., tokens: _Optional[int] = ...) -> None: ...

class SourceFile(_message.Message):
    __slots__ = ("name", "text", "digest", "written", "merge_request")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    MERGE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    digest: str
    written: bool
    merge_request: str
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ..., digest: _Optional[str] = ..., written: _Optional[bool] = ..., merge_request: _Optional[str] = ...) -> None: ...

class SourceRemoval(_message.Message):
    __slots__ = ("found", "left", "applied", "file", "text")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    found: SourceContents
    left: SourceContents
    applied: bool
    file: str
    text: str
    def __init__(self, found: _Optional[_Union[SourceContents, _Mapping]] = ..., left: _Optional[_Union[SourceContents, _Mapping]] = ..., applied: _Optional[bool] = ..., file: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class SourceContents(_message.Message):
    __slots__ = ("documents", "chunks", "quarantined", "remembered", "pending")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    documents: int
    chunks: int
    quarantined: int
    remembered: int
    pending: int
    def __init__(self, documents: _Optional[int] = ..., chunks: _Optional[int] = ..., quarantined: _Optional[int] = ..., remembered: _Optional[int] = ..., pending: _Optional[int] = ...) -> None: ...
