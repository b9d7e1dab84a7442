"""Index generations: their rows, and the settings, chunker and embedder each is built with."""

from rag_core.generations import replica_store, status_store, store
from rag_core.generations.generation_config import (
    CHUNKING,
    GenerationConfig,
    changed,
    generation_config_of,
    settings_for,
)
from rag_core.generations.status_store import SourceCounts
from rag_core.generations.store import RECEIVES_WRITES, DocumentTotals, Generation
from rag_core.generations.transforms import TransformRegistry, Transforms
