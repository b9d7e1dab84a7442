"""The pipeline from source to index: four stages over a shard or given documents, events and accounting."""

from rag_core.pipeline import pending_store, progress_store, run_history_store, run_store, sample_store
from rag_core.pipeline.accounting import account, assess_quality
from rag_core.pipeline.active_generation import default_name
from rag_core.pipeline.base import Progress, StageResult, Work
from rag_core.pipeline.deletions import approve_deletions
from rag_core.pipeline.events import BatchResult, Event, EventApplier, RejectedEvent, SlowEvent
from rag_core.pipeline.index_store import payload_of
from rag_core.pipeline.pending_store import Extent
from rag_core.pipeline.progress_store import Coverage
from rag_core.pipeline.purge import purge_listings, purge_unused
from rag_core.pipeline.reading import Reader, ReadResult, parser_fingerprint, read_bytes
from rag_core.pipeline.reindex import request_reindex
from rag_core.pipeline.resources import Pipeline
from rag_core.pipeline.run import run_pipeline
from rag_core.pipeline.run_history_store import SourceHistory
from rag_core.pipeline.run_store import Stage
from rag_core.pipeline.source_removal import Removal, remove_source
from rag_core.pipeline.stage_runner import run_stage
from rag_core.pipeline.stages.chunks import chunk_documents
from rag_core.pipeline.stages.documents import configure_source
from rag_core.pipeline.stages.embeddings import embed_chunks
from rag_core.pipeline.stages.index import index_documents, index_pending
from rag_core.pipeline.turns import Waiting, waiting_runs
