"""All errors that the platform raises on purpose, as one class tree with stable reason codes.

    RagError
    ├── InvalidInput         the caller must change the request, the file or the configuration
    │   └── ConfigError      a setting or a source file is wrong; processes refuse to start (exit 2)
    ├── Unauthenticated      no credentials, or invalid ones
    ├── PermissionDenied     a verified identity without the permission
    ├── NotFound             missing, or not visible to this identity: callers cannot distinguish the two
    ├── Conflict             the state forbids it now; the caller may change the state and retry
    ├── Exhausted            a limit was reached
    │   └── QuotaExceeded    a budget of a tenant or an API key is used up
    ├── Unavailable          a required service cannot be reached; retrying later may help
    ├── DeadlineExceeded     the allowed time has passed
    └── DataCorruption       stored data differs from what was written; an operator must act

Catch a class when you can act on it, and `RagError` at an edge where it becomes a status, a quarantine row or an
exit code. Any other exception is a bug and is reported without its text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Stable, machine-readable cause of an error. Codes are only added, because clients match on them.

    The description of each code is in `REASONS` and in docs/reference/reason-codes.md, which is generated from it.
    """

    # API
    QUERY_EMPTY = "QUERY_EMPTY"
    QUERY_TOO_LONG = "QUERY_TOO_LONG"
    TOP_K_RANGE = "TOP_K_RANGE"
    VECTOR_DIM = "VECTOR_DIM"
    VECTOR_NOT_FINITE = "VECTOR_NOT_FINITE"
    SCHEMA_VIOLATION = "SCHEMA_VIOLATION"
    VECTOR_ZERO = "VECTOR_ZERO"
    FILTER_FIELD_UNKNOWN = "FILTER_FIELD_UNKNOWN"
    FILTER_TYPE = "FILTER_TYPE"
    FILTER_TOO_COMPLEX = "FILTER_TOO_COMPLEX"
    RESERVED_FIELD = "RESERVED_FIELD"
    TEXT_INVALID = "TEXT_INVALID"
    FIELD_INVALID = "FIELD_INVALID"
    FIELD_UNKNOWN = "FIELD_UNKNOWN"
    ID_CHARS = "ID_CHARS"
    MESSAGE_INVALID = "MESSAGE_INVALID"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    RESUME_TOKEN_INVALID = "RESUME_TOKEN_INVALID"
    RESUME_LOST = "RESUME_LOST"
    CITATION_INVALID = "CITATION_INVALID"
    STREAM_LIMIT = "STREAM_LIMIT"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    SOURCE_NOT_FOUND = "SOURCE_NOT_FOUND"
    SOURCE_KIND_UNKNOWN = "SOURCE_KIND_UNKNOWN"
    DOCUMENT_NOT_FOUND = "DOCUMENT_NOT_FOUND"
    PAGE_NOT_FOUND = "PAGE_NOT_FOUND"
    PAGES_UNSUPPORTED = "PAGES_UNSUPPORTED"
    ORIGINAL_NOT_FOUND = "ORIGINAL_NOT_FOUND"
    ORIGINAL_CHANGED = "ORIGINAL_CHANGED"
    QUARANTINE_NOT_FOUND = "QUARANTINE_NOT_FOUND"
    GENERATION_NOT_FOUND = "GENERATION_NOT_FOUND"
    # documents and streams
    DOCUMENT_TOO_LARGE = "DOCUMENT_TOO_LARGE"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    STALE_VERSION = "STALE_VERSION"
    SOURCE_NOT_PUSHABLE = "SOURCE_NOT_PUSHABLE"
    INBOX_FULL = "INBOX_FULL"
    KEY_MISSING = "KEY_MISSING"
    EVENT_INVALID = "EVENT_INVALID"
    EVENT_SCHEMA = "EVENT_SCHEMA"
    EVENT_UNDECODABLE = "EVENT_UNDECODABLE"
    SCHEMA_UNKNOWN = "SCHEMA_UNKNOWN"
    SCHEMA_UNUSABLE = "SCHEMA_UNUSABLE"
    REGISTRY_UNAVAILABLE = "REGISTRY_UNAVAILABLE"
    TENANT_MISMATCH = "TENANT_MISMATCH"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    POISON_RATE = "POISON_RATE"
    EVENT_FAILED = "EVENT_FAILED"
    BROKER_UNAVAILABLE = "BROKER_UNAVAILABLE"
    BROKER_REFUSED = "BROKER_REFUSED"
    OFFSET_OUT_OF_RANGE = "OFFSET_OUT_OF_RANGE"
    TOPIC_RECREATED = "TOPIC_RECREATED"
    DEAD_LETTER_UNAVAILABLE = "DEAD_LETTER_UNAVAILABLE"
    ERASURE_INCOMPLETE = "ERASURE_INCOMPLETE"
    # identity
    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_MALFORMED = "TOKEN_MALFORMED"
    TOKEN_INVALID = "TOKEN_INVALID"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_AUDIENCE = "TOKEN_AUDIENCE"
    TENANT_MISSING = "TENANT_MISSING"
    SCOPE_MISSING = "SCOPE_MISSING"
    HOST_REFUSED = "HOST_REFUSED"
    ORIGIN_REFUSED = "ORIGIN_REFUSED"
    EGRESS_FORBIDDEN = "EGRESS_FORBIDDEN"
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    TENANT_ERASED = "TENANT_ERASED"
    TENANT_NOT_FOUND = "TENANT_NOT_FOUND"
    TENANT_EXISTS = "TENANT_EXISTS"
    TENANT_STATE = "TENANT_STATE"
    TOKEN_REVOKED = "TOKEN_REVOKED"
    REVOCATIONS_UNKNOWN = "REVOCATIONS_UNKNOWN"
    API_KEY_INVALID = "API_KEY_INVALID"
    PERSON_DISABLED = "PERSON_DISABLED"
    DIRECTORY_GROUPS_EXCEEDED = "DIRECTORY_GROUPS_EXCEEDED"
    DIRECTORY_HELD = "DIRECTORY_HELD"
    DIRECTORY_NOT_FOUND = "DIRECTORY_NOT_FOUND"
    DIRECTORY_EXISTS = "DIRECTORY_EXISTS"
    DIRECTORY_NAME_TAKEN = "DIRECTORY_NAME_TAKEN"
    DIRECTORY_ENTRY_NOT_FOUND = "DIRECTORY_ENTRY_NOT_FOUND"
    DIRECTORY_ENTRY_CHANGED = "DIRECTORY_ENTRY_CHANGED"
    DIRECTORY_FULL = "DIRECTORY_FULL"
    ACL_INEXPRESSIBLE = "ACL_INEXPRESSIBLE"
    API_KEY_NOT_FOUND = "API_KEY_NOT_FOUND"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
    SIGN_IN_LOCKED = "SIGN_IN_LOCKED"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    MERGE_REQUEST_FAILED = "MERGE_REQUEST_FAILED"
    # load and time
    OVERLOADED = "OVERLOADED"
    RATE_LIMITED = "RATE_LIMITED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    DEADLINE = "DEADLINE"
    CANCELLED = "CANCELLED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    # services
    INDEX_UNAVAILABLE = "INDEX_UNAVAILABLE"
    INDEX_LOCKED = "INDEX_LOCKED"
    INDEX_CORRUPT = "INDEX_CORRUPT"
    INDEX_EMPTY = "INDEX_EMPTY"
    GENERATION_STATE = "GENERATION_STATE"
    GENERATION_REFUSED = "GENERATION_REFUSED"
    REPLICA_UNPREPARED = "REPLICA_UNPREPARED"
    CONFIRMATION_NEEDED = "CONFIRMATION_NEEDED"
    GOLDEN_INVALID = "GOLDEN_INVALID"
    QUESTIONS_INVALID = "QUESTIONS_INVALID"
    EVALUATION_NOT_FOUND = "EVALUATION_NOT_FOUND"
    QUESTION_NOT_FOUND = "QUESTION_NOT_FOUND"
    QUESTION_DECIDED = "QUESTION_DECIDED"
    FEEDBACK_LIMIT = "FEEDBACK_LIMIT"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    DATABASE_VERSION = "DATABASE_VERSION"
    SOURCE_BUSY = "SOURCE_BUSY"
    EMBEDDER_UNAVAILABLE = "EMBEDDER_UNAVAILABLE"
    EMBEDDER_RESPONSE = "EMBEDDER_RESPONSE"
    ANSWERER_UNAVAILABLE = "ANSWERER_UNAVAILABLE"
    ANSWER_UNSUPPORTED = "ANSWER_UNSUPPORTED"
    ANSWERER_UNKNOWN = "ANSWERER_UNKNOWN"
    RERANKER_UNAVAILABLE = "RERANKER_UNAVAILABLE"
    TRACES_UNAVAILABLE = "TRACES_UNAVAILABLE"
    CONVERSATION_TOO_LONG = "CONVERSATION_TOO_LONG"
    UPLOADS_FULL = "UPLOADS_FULL"
    UPLOAD_NOT_FOUND = "UPLOAD_NOT_FOUND"
    MODEL_CORRUPT = "MODEL_CORRUPT"
    STORAGE_FULL = "STORAGE_FULL"
    DAGSTER_UNAVAILABLE = "DAGSTER_UNAVAILABLE"
    SERVER_UNAVAILABLE = "SERVER_UNAVAILABLE"
    # configuration and the local stack
    USAGE = "USAGE"
    CONFIG_INVALID = "CONFIG_INVALID"
    CONFIG_RANGE = "CONFIG_RANGE"
    PACKAGE_MISSING = "PACKAGE_MISSING"
    SECRET_MISSING = "SECRET_MISSING"
    SECRET_WEAK = "SECRET_WEAK"
    SECRET_INLINE_FORBIDDEN = "SECRET_INLINE_FORBIDDEN"
    DUPLICATE_SOURCE = "DUPLICATE_SOURCE"
    SOURCE_NOT_ALLOWED = "SOURCE_NOT_ALLOWED"
    SOURCE_CHANGED = "SOURCE_CHANGED"
    SOURCE_OPERATION_NOT_FOUND = "SOURCE_OPERATION_NOT_FOUND"
    SOURCE_OPERATION_TIMEOUT = "SOURCE_OPERATION_TIMEOUT"
    PORT_TAKEN = "PORT_TAKEN"
    HOME_IN_USE = "HOME_IN_USE"
    HOME_NOT_EMPTY = "HOME_NOT_EMPTY"
    BACKUP_INVALID = "BACKUP_INVALID"
    BACKUP_KEY = "BACKUP_KEY"
    BACKUP_VERSION = "BACKUP_VERSION"
    STACK_NOT_RUNNING = "STACK_NOT_RUNNING"
    START_FAILED = "START_FAILED"
    SERVICE_NOT_FOUND = "SERVICE_NOT_FOUND"
    # deployments
    DEPLOYMENT_BUSY = "DEPLOYMENT_BUSY"
    DEPLOYMENT_STATE = "DEPLOYMENT_STATE"
    DEPLOYMENT_NOT_FOUND = "DEPLOYMENT_NOT_FOUND"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    TARGET_UNAVAILABLE = "TARGET_UNAVAILABLE"
    CANDIDATE_UNHEALTHY = "CANDIDATE_UNHEALTHY"
    GREEN_WRONG = "GREEN_WRONG"
    GREEN_SLOW = "GREEN_SLOW"
    GREEN_FAILING = "GREEN_FAILING"
    GREEN_SILENT = "GREEN_SILENT"
    # sources and documents
    LISTING_INCOMPLETE = "LISTING_INCOMPLETE"
    # external hosts
    URL_INVALID = "URL_INVALID"
    URL_SCHEME = "URL_SCHEME"
    URL_PORT = "URL_PORT"
    SSRF_BLOCKED = "SSRF_BLOCKED"
    REDIRECT_LIMIT = "REDIRECT_LIMIT"
    CROSS_ORIGIN = "CROSS_ORIGIN"
    HOST_UNREACHABLE = "HOST_UNREACHABLE"
    HTTP_STATUS = "HTTP_STATUS"
    ACCESS_REFUSED = "ACCESS_REFUSED"
    CONTENT_TYPE = "CONTENT_TYPE"
    RESPONSE_TOO_LARGE = "RESPONSE_TOO_LARGE"
    RESPONSE_TIMEOUT = "RESPONSE_TIMEOUT"
    RESPONSE_INVALID = "RESPONSE_INVALID"
    PAGINATION_LOOP = "PAGINATION_LOOP"
    CRAWL_BUDGET = "CRAWL_BUDGET"
    ROBOTS_EXCLUDED = "ROBOTS_EXCLUDED"
    MASS_DELETE_HELD = "MASS_DELETE_HELD"
    PATH_OUTSIDE_ROOT = "PATH_OUTSIDE_ROOT"
    SYMLINK_ESCAPE = "SYMLINK_ESCAPE"
    SYMLINK_IGNORED = "SYMLINK_IGNORED"
    NOT_A_REGULAR_FILE = "NOT_A_REGULAR_FILE"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    UNREADABLE = "UNREADABLE"
    VANISHED = "VANISHED"
    CHANGED_WHILE_READING = "CHANGED_WHILE_READING"
    EMPTY_DOCUMENT = "EMPTY_DOCUMENT"
    NO_TEXT = "NO_TEXT"
    NEEDS_OCR = "NEEDS_OCR"
    TYPE_UNSUPPORTED = "TYPE_UNSUPPORTED"
    ARCHIVE_UNSUPPORTED = "ARCHIVE_UNSUPPORTED"
    OFFICE_FORMAT_OLD = "OFFICE_FORMAT_OLD"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    ENCODING_UNKNOWN = "ENCODING_UNKNOWN"
    ENCRYPTED = "ENCRYPTED"
    PARSE_FAILED = "PARSE_FAILED"
    PARSER_TIMEOUT = "PARSER_TIMEOUT"
    PARSER_OOM = "PARSER_OOM"
    PARSER_CRASHED = "PARSER_CRASHED"
    PARSER_UNAVAILABLE = "PARSER_UNAVAILABLE"
    PDF_LIMIT = "PDF_LIMIT"
    XML_DTD_FORBIDDEN = "XML_DTD_FORBIDDEN"
    ARCHIVE_BOMB = "ARCHIVE_BOMB"
    ARCHIVE_PATH = "ARCHIVE_PATH"
    IMAGE_BOMB = "IMAGE_BOMB"
    NESTING_TOO_DEEP = "NESTING_TOO_DEEP"
    TEXT_TOO_LARGE = "TEXT_TOO_LARGE"
    TOO_MANY_CHUNKS = "TOO_MANY_CHUNKS"
    ZERO_CHUNKS = "ZERO_CHUNKS"
    CHUNK_FAILED = "CHUNK_FAILED"
    # tables and queries
    SOURCE_UNAVAILABLE = "SOURCE_UNAVAILABLE"
    SOURCE_DENIED = "SOURCE_DENIED"
    IDENTIFIER_INVALID = "IDENTIFIER_INVALID"
    SCHEMA_CHANGED = "SCHEMA_CHANGED"
    QUERY_INVALID = "QUERY_INVALID"
    QUERY_NOT_READ_ONLY = "QUERY_NOT_READ_ONLY"
    QUERY_TIMEOUT = "QUERY_TIMEOUT"
    CELL_TOO_LARGE = "CELL_TOO_LARGE"
    VALUE_INVALID = "VALUE_INVALID"
    KEY_NOT_UNIQUE = "KEY_NOT_UNIQUE"
    CURSOR_NOT_USABLE = "CURSOR_NOT_USABLE"
    CURSOR_NULL = "CURSOR_NULL"
    CURSOR_AHEAD = "CURSOR_AHEAD"
    INDEX_FOREIGN = "INDEX_FOREIGN"
    INDEX_VERSION = "INDEX_VERSION"
    # quality and alerts
    QUALITY_EMPTY = "QUALITY_EMPTY"
    QUALITY_GARBAGE = "QUALITY_GARBAGE"
    QUALITY_ERROR_PAGE = "QUALITY_ERROR_PAGE"
    QUALITY_MOJIBAKE = "QUALITY_MOJIBAKE"
    QUALITY_UNCERTAIN = "QUALITY_UNCERTAIN"
    QUALITY_THRESHOLD = "QUALITY_THRESHOLD"
    ALERT_UNDELIVERED = "ALERT_UNDELIVERED"
    # webhooks
    CURATION_NOT_FOUND = "CURATION_NOT_FOUND"
    CURATION_LIMIT = "CURATION_LIMIT"
    WEBHOOK_NOT_FOUND = "WEBHOOK_NOT_FOUND"
    WEBHOOK_DELIVERY_NOT_FOUND = "WEBHOOK_DELIVERY_NOT_FOUND"
    WEBHOOK_LIMIT = "WEBHOOK_LIMIT"
    WEBHOOK_REFUSED = "WEBHOOK_REFUSED"
    WEBHOOK_EXPIRED = "WEBHOOK_EXPIRED"
    ACCOUNTING_MISMATCH = "ACCOUNTING_MISMATCH"
    # results of commands
    PARTLY_DONE = "PARTLY_DONE"
    CHECK_FAILED = "CHECK_FAILED"
    INTERNAL = "INTERNAL"


class RagError(Exception):
    """The base class of all errors.

    `message` is shown to the caller: what is wrong and what to do. It never contains server paths, SQL, stack traces,
    secrets or another tenant's identifiers. `retryable`: whether the same call may succeed later without a change by
    the caller. `status` is the name of its gRPC status; `metadata` is sent in `google.rpc.ErrorInfo`.
    """

    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, reason: Reason, message: str, **metadata: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.metadata = metadata

    def __reduce__(self) -> tuple[object, ...]:
        # Errors are pickled between processes (the parser sandbox, run workers); the default `__reduce__` loses
        # arguments.
        return (_rebuild, (type(self), self.reason, self.message, self.metadata))


def _rebuild(cls: type[RagError], reason: Reason, message: str, metadata: dict[str, str]) -> RagError:
    return cls(reason, message, **metadata)


class InvalidInput(RagError):
    """The request, file or value is invalid; repeating it unchanged fails again."""

    status = "INVALID_ARGUMENT"


class ConfigError(InvalidInput):
    """A setting or a source file is wrong. Raised at start, before any network call."""


class Unauthenticated(RagError):
    """No credentials, or credentials that do not verify."""

    status = "UNAUTHENTICATED"


class PermissionDenied(RagError):
    """The identity is verified but does not have the permission."""

    status = "PERMISSION_DENIED"


class NotFound(RagError):
    """Missing, or not visible to the caller. The text is the same in both cases."""

    status = "NOT_FOUND"


class Conflict(RagError):
    """The current state forbids the call: a held deletion, a generation in the wrong state, a folder in use."""

    status = "FAILED_PRECONDITION"


class Exhausted(RagError):
    """A limit was reached; retryable only when the server names a wait."""

    status = "RESOURCE_EXHAUSTED"
    retryable = True


class QuotaExceeded(Exhausted):
    """A budget is used up; `retry_seconds` of its metadata is the time until it renews, where it does by itself."""

    retryable = False


class Unavailable(RagError):
    """A service cannot be reached now."""

    status = "UNAVAILABLE"
    retryable = True


class DeadlineExceeded(RagError):
    """The caller's deadline, or an internal one, has passed."""

    status = "DEADLINE_EXCEEDED"
    retryable = True


class DataCorruption(RagError):
    """Stored data fails its check. It is not served, and an operator must act."""

    status = "DATA_LOSS"


_KINDS: dict[str, type[RagError]] = {kind.status: kind for kind in RagError.__subclasses__()}
_KINDS |= {"OUT_OF_RANGE": InvalidInput, "ABORTED": Conflict, "ALREADY_EXISTS": Conflict}


def kind_of(status: str) -> type[RagError]:
    """Return the class of the errors with a gRPC status; `RagError` itself for a status that none has."""
    return _KINDS.get(status, RagError)
