import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntryKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_KIND_UNSPECIFIED: _ClassVar[EntryKind]
    ENTRY_KIND_PERSON: _ClassVar[EntryKind]
    ENTRY_KIND_GROUP: _ClassVar[EntryKind]

class EntryField(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_FIELD_UNSPECIFIED: _ClassVar[EntryField]
    ENTRY_FIELD_NAME: _ClassVar[EntryField]
    ENTRY_FIELD_EXTERNAL_ID: _ClassVar[EntryField]
    ENTRY_FIELD_EMAIL: _ClassVar[EntryField]
    ENTRY_FIELD_ID: _ClassVar[EntryField]
ENTRY_KIND_UNSPECIFIED: EntryKind
ENTRY_KIND_PERSON: EntryKind
ENTRY_KIND_GROUP: EntryKind
ENTRY_FIELD_UNSPECIFIED: EntryField
ENTRY_FIELD_NAME: EntryField
ENTRY_FIELD_EXTERNAL_ID: EntryField
ENTRY_FIELD_EMAIL: EntryField
ENTRY_FIELD_ID: EntryField

class Entry(_message.Message):
    __slots__ = ("id", "kind", "name", "external_id", "emails", "active", "attributes", "members", "version", "created_at", "changed_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    EMAILS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: EntryKind
    name: str
    external_id: str
    emails: _containers.RepeatedScalarFieldContainer[str]
    active: bool
    attributes: str
    members: _containers.RepeatedCompositeFieldContainer[Member]
    version: int
    created_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[EntryKind, str]] = ..., name: _Optional[str] = ..., external_id: _Optional[str] = ..., emails: _Optional[_Iterable[str]] = ..., active: _Optional[bool] = ..., attributes: _Optional[str] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., version: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("id", "kind", "name")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: EntryKind
    name: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[EntryKind, str]] = ..., name: _Optional[str] = ...) -> None: ...

class GetEntriesRequest(_message.Message):
    __slots__ = ("kind", "field", "value", "offset", "limit", "without_members")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    kind: EntryKind
    field: EntryField
    value: str
    offset: int
    limit: int
    without_members: bool
    def __init__(self, kind: _Optional[_Union[EntryKind, str]] = ..., field: _Optional[_Union[EntryField, str]] = ..., value: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ..., without_members: _Optional[bool] = ...) -> None: ...

class GetEntriesResponse(_message.Message):
    __slots__ = ("entries", "total")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    total: int
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class GetEntryRequest(_message.Message):
    __slots__ = ("kind", "id", "without_members")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    kind: EntryKind
    id: str
    without_members: bool
    def __init__(self, kind: _Optional[_Union[EntryKind, str]] = ..., id: _Optional[str] = ..., without_members: _Optional[bool] = ...) -> None: ...

class GetEntryResponse(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ...) -> None: ...

class SaveEntryRequest(_message.Message):
    __slots__ = ("entry", "expected_version", "replace_members", "add_members", "remove_members")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLACE_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    ADD_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    expected_version: int
    replace_members: bool
    add_members: _containers.RepeatedScalarFieldContainer[str]
    remove_members: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ..., expected_version: _Optional[int] = ..., replace_members: _Optional[bool] = ..., add_members: _Optional[_Iterable[str]] = ..., remove_members: _Optional[_Iterable[str]] = ...) -> None: ...

class SaveEntryResponse(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ...) -> None: ...

class DeleteEntryRequest(_message.Message):
    __slots__ = ("kind", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: EntryKind
    id: str
    def __init__(self, kind: _Optional[_Union[EntryKind, str]] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteEntryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
