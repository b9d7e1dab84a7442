from . import (
    pending_store as pending_store,
    progress_store as progress_store,
    run_history_store as run_history_store,
    run_store as run_store,
    sample_store as sample_store,
)
from .accounting import account as account, assess_quality as assess_quality
from .active_generation import default_name as default_name
from .base import (
    Progress as Progress,
    RunRequired as RunRequired,
    SmallChanges as SmallChanges,
    StageResult as StageResult,
    Work as Work,
)
from .deletions import approve_deletions as approve_deletions
from .events import (
    BatchResult as BatchResult,
    Event as Event,
    EventApplier as EventApplier,
    RejectedEvent as RejectedEvent,
    SlowEvent as SlowEvent,
)
from .index_store import payload_of as payload_of
from .pending_store import Extent as Extent
from .progress_store import Coverage as Coverage
from .purge import purge_listings as purge_listings, purge_unused as purge_unused
from .reading import (
    WITHOUT_TEXT as WITHOUT_TEXT,
    Reader as Reader,
    ReadResult as ReadResult,
    parser_fingerprint as parser_fingerprint,
    content_hash as content_hash,
    read_bytes as read_bytes,
)
from .reindex import request_reindex as request_reindex
from .resources import Pipeline as Pipeline
from .run import configure_source as configure_source, run_pipeline as run_pipeline
from .run_history_store import SourceHistory as SourceHistory
from .run_store import Stage as Stage
from .source_removal import Removal as Removal, remove_source as remove_source
from .stage_runner import StageDependencies as StageDependencies, run_stage as run_stage
from .stages.chunks import chunk_documents as chunk_documents
from .stages.embeddings import embed_chunks as embed_chunks
from .stages.index import index_documents as index_documents, index_pending as index_pending
from .turns import Waiting as Waiting, waiting_runs as waiting_runs
