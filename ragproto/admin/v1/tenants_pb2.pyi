import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TenantState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENANT_STATE_UNSPECIFIED: _ClassVar[TenantState]
    TENANT_STATE_ACTIVE: _ClassVar[TenantState]
    TENANT_STATE_SUSPENDED: _ClassVar[TenantState]
    TENANT_STATE_ERASING: _ClassVar[TenantState]
    TENANT_STATE_ERASED: _ClassVar[TenantState]

class EgressUse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EGRESS_USE_UNSPECIFIED: _ClassVar[EgressUse]
    EGRESS_USE_ANSWER: _ClassVar[EgressUse]
    EGRESS_USE_RERANK: _ClassVar[EgressUse]
    EGRESS_USE_EMBED: _ClassVar[EgressUse]
TENANT_STATE_UNSPECIFIED: TenantState
TENANT_STATE_ACTIVE: TenantState
TENANT_STATE_SUSPENDED: TenantState
TENANT_STATE_ERASING: TenantState
TENANT_STATE_ERASED: TenantState
EGRESS_USE_UNSPECIFIED: EgressUse
EGRESS_USE_ANSWER: EgressUse
EGRESS_USE_RERANK: EgressUse
EGRESS_USE_EMBED: EgressUse

class EgressPolicy(_message.Message):
    __slots__ = ("uses", "inherited", "sources")
    USES_FIELD_NUMBER: _ClassVar[int]
    INHERITED_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    uses: _containers.RepeatedScalarFieldContainer[EgressUse]
    inherited: bool
    sources: _containers.RepeatedCompositeFieldContainer[SourceEgress]
    def __init__(self, uses: _Optional[_Iterable[_Union[EgressUse, str]]] = ..., inherited: _Optional[bool] = ..., sources: _Optional[_Iterable[_Union[SourceEgress, _Mapping]]] = ...) -> None: ...

class SourceEgress(_message.Message):
    __slots__ = ("source", "uses", "by_file")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    BY_FILE_FIELD_NUMBER: _ClassVar[int]
    source: str
    uses: _containers.RepeatedScalarFieldContainer[EgressUse]
    by_file: bool
    def __init__(self, source: _Optional[str] = ..., uses: _Optional[_Iterable[_Union[EgressUse, str]]] = ..., by_file: _Optional[bool] = ...) -> None: ...

class Tenant(_message.Message):
    __slots__ = ("name", "state", "reason", "egress", "sources", "documents", "created_by", "created_at", "changed_by", "changed_at", "erased_at", "receipt_json", "question_words", "question_words_inherited")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EGRESS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_BY_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_JSON_FIELD_NUMBER: _ClassVar[int]
    QUESTION_WORDS_FIELD_NUMBER: _ClassVar[int]
    QUESTION_WORDS_INHERITED_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: TenantState
    reason: str
    egress: EgressPolicy
    sources: int
    documents: int
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    changed_by: str
    changed_at: _timestamp_pb2.Timestamp
    erased_at: _timestamp_pb2.Timestamp
    receipt_json: str
    question_words: bool
    question_words_inherited: bool
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[TenantState, str]] = ..., reason: _Optional[str] = ..., egress: _Optional[_Union[EgressPolicy, _Mapping]] = ..., sources: _Optional[int] = ..., documents: _Optional[int] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_by: _Optional[str] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., erased_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., receipt_json: _Optional[str] = ..., question_words: _Optional[bool] = ..., question_words_inherited: _Optional[bool] = ...) -> None: ...

class ListTenantsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTenantsResponse(_message.Message):
    __slots__ = ("tenants", "next_page_token")
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    next_page_token: str
    def __init__(self, tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetTenantRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetTenantResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class CreateTenantRequest(_message.Message):
    __slots__ = ("name", "own_egress", "egress_uses", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWN_EGRESS_FIELD_NUMBER: _ClassVar[int]
    EGRESS_USES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    own_egress: bool
    egress_uses: _containers.RepeatedScalarFieldContainer[EgressUse]
    reason: str
    def __init__(self, name: _Optional[str] = ..., own_egress: _Optional[bool] = ..., egress_uses: _Optional[_Iterable[_Union[EgressUse, str]]] = ..., reason: _Optional[str] = ...) -> None: ...

class CreateTenantResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class SuspendTenantRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SuspendTenantResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class ResumeTenantRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ResumeTenantResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class SetEgressPolicyRequest(_message.Message):
    __slots__ = ("name", "inherit", "uses", "sources", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INHERIT_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    inherit: bool
    uses: _containers.RepeatedScalarFieldContainer[EgressUse]
    sources: _containers.RepeatedCompositeFieldContainer[SourceEgress]
    reason: str
    def __init__(self, name: _Optional[str] = ..., inherit: _Optional[bool] = ..., uses: _Optional[_Iterable[_Union[EgressUse, str]]] = ..., sources: _Optional[_Iterable[_Union[SourceEgress, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetEgressPolicyResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class SetQuestionWordsRequest(_message.Message):
    __slots__ = ("name", "readable", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    READABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    readable: bool
    reason: str
    def __init__(self, name: _Optional[str] = ..., readable: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class SetQuestionWordsResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class ExportTenantRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ExportTenantResponse(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class EraseTenantRequest(_message.Message):
    __slots__ = ("name", "confirm_name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    confirm_name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., confirm_name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EraseTenantResponse(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...
