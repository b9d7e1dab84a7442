from . import (
    inspection_store as inspection_store,
    list_store as list_store,
    original_store as original_store,
    read_store as read_store,
    store as store,
    tombstone_store as tombstone_store,
)
from .dates import document_date as document_date, parse_date as parse_date
from .filters import (
    MAX_DEPTH as MAX_DEPTH,
    METADATA_PREFIX as METADATA_PREFIX,
    RESERVED_FIELDS as RESERVED_FIELDS,
    All as All,
    AnyOf as AnyOf,
    Condition as Condition,
    Exists as Exists,
    FieldTypes as FieldTypes,
    In as In,
    Not as Not,
    NumberRange as NumberRange,
    TimeRange as TimeRange,
    validate as validate,
)
from .inspection_store import (
    AccessRow as AccessRow,
    DocumentDetails as DocumentDetails,
    DocumentEvent as DocumentEvent,
    EventKind as EventKind,
    ChunkSpan as ChunkSpan,
)
from .list_store import (
    MatchCounts as MatchCounts,
    DocumentOrder as DocumentOrder,
    DocumentQuery as DocumentQuery,
    DocumentState as DocumentState,
    DocumentSummary as DocumentSummary,
    ListPosition as ListPosition,
)
from .original_store import PageSource as PageSource
from .read_store import VisibleDocument as VisibleDocument, VisibleSource as VisibleSource
from .store import MetadataUpdate as MetadataUpdate, NewDocument as NewDocument, StoredDocument as StoredDocument
from .tombstone_store import Deletion as Deletion
