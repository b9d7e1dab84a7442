"""Documents: filters, rows, tombstones, lookup under an ACL, and inspection."""

from rag_core.documents import inspection_store, list_store, read_store, store, tombstone_store
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
from rag_core.documents.inspection_store import DocumentDetails, Event, EventKind, Span
from rag_core.documents.list_store import (
    DocumentCounts,
    DocumentOrder,
    DocumentQuery,
    DocumentState,
    DocumentSummary,
    ListPosition,
)
from rag_core.documents.read_store import VisibleDocument, VisibleSource
from rag_core.documents.store import MetadataUpdate, NewDocument, StoredDocument
from rag_core.documents.tombstone_store import Deletion
