import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListUsageRequest(_message.Message):
    __slots__ = ("tenant", "all_tenants", "days", "limit", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ALL_TENANTS_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    all_tenants: bool
    days: int
    limit: int
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., all_tenants: _Optional[bool] = ..., days: _Optional[int] = ..., limit: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListUsageResponse(_message.Message):
    __slots__ = ("rows", "budgets", "documents", "renews_at", "more", "next_page_token")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    RENEWS_AT_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[UsageRow]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetRow]
    documents: _containers.RepeatedCompositeFieldContainer[StoredDocuments]
    renews_at: _timestamp_pb2.Timestamp
    more: bool
    next_page_token: str
    def __init__(self, rows: _Optional[_Iterable[_Union[UsageRow, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[BudgetRow, _Mapping]]] = ..., documents: _Optional[_Iterable[_Union[StoredDocuments, _Mapping]]] = ..., renews_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., more: _Optional[bool] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UsageRow(_message.Message):
    __slots__ = ("day", "tenant", "key_id", "calls", "refused_calls", "prompt_tokens", "completion_tokens")
    DAY_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_CALLS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    day: str
    tenant: str
    key_id: str
    calls: int
    refused_calls: int
    prompt_tokens: int
    completion_tokens: int
    def __init__(self, day: _Optional[str] = ..., tenant: _Optional[str] = ..., key_id: _Optional[str] = ..., calls: _Optional[int] = ..., refused_calls: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ...) -> None: ...

class BudgetRow(_message.Message):
    __slots__ = ("tenant", "key_id", "calls_per_day", "model_tokens_per_day", "documents", "calls_used", "model_tokens_used")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CALLS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    MODEL_TOKENS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    CALLS_USED_FIELD_NUMBER: _ClassVar[int]
    MODEL_TOKENS_USED_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    key_id: str
    calls_per_day: int
    model_tokens_per_day: int
    documents: int
    calls_used: int
    model_tokens_used: int
    def __init__(self, tenant: _Optional[str] = ..., key_id: _Optional[str] = ..., calls_per_day: _Optional[int] = ..., model_tokens_per_day: _Optional[int] = ..., documents: _Optional[int] = ..., calls_used: _Optional[int] = ..., model_tokens_used: _Optional[int] = ...) -> None: ...

class StoredDocuments(_message.Message):
    __slots__ = ("tenant", "documents")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    documents: int
    def __init__(self, tenant: _Optional[str] = ..., documents: _Optional[int] = ...) -> None: ...

class SetBudgetRequest(_message.Message):
    __slots__ = ("tenant", "key_id", "calls_per_day", "model_tokens_per_day", "documents", "reason")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    CALLS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    MODEL_TOKENS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    key_id: str
    calls_per_day: int
    model_tokens_per_day: int
    documents: int
    reason: str
    def __init__(self, tenant: _Optional[str] = ..., key_id: _Optional[str] = ..., calls_per_day: _Optional[int] = ..., model_tokens_per_day: _Optional[int] = ..., documents: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class SetBudgetResponse(_message.Message):
    __slots__ = ("before",)
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    before: BudgetRow
    def __init__(self, before: _Optional[_Union[BudgetRow, _Mapping]] = ...) -> None: ...
