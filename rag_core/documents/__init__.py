"""Documents: filters, rows, tombstones, lookup under an ACL, and inspection."""

from rag_core.documents import read_store, store, tombstone_store
from rag_core.documents.filters import (
    MAX_DEPTH,
    METADATA_PREFIX,
    RESERVED_FIELDS,
    All,
    AnyOf,
    Condition,
    Exists,
    FieldTypes,
    In,
    Not,
    NumberRange,
    TimeRange,
    validate,
)
from rag_core.documents.read_store import DocumentDetails, DocumentSummary, Span, VisibleDocument
from rag_core.documents.store import MetadataUpdate, NewDocument, StoredDocument
from rag_core.documents.tombstone_store import Deletion

__all__ = [
    "MAX_DEPTH",
    "METADATA_PREFIX",
    "RESERVED_FIELDS",
    "All",
    "AnyOf",
    "Condition",
    "Deletion",
    "DocumentDetails",
    "DocumentSummary",
    "Exists",
    "FieldTypes",
    "In",
    "MetadataUpdate",
    "NewDocument",
    "Not",
    "NumberRange",
    "Span",
    "StoredDocument",
    "TimeRange",
    "VisibleDocument",
    "read_store",
    "store",
    "tombstone_store",
    "validate",
]
