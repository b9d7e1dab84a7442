from . import replica_store as replica_store, status_store as status_store, store as store
from .generation_config import (
    CHUNKING as CHUNKING,
    GenerationConfig as GenerationConfig,
    changed as changed,
    generation_config_of as generation_config_of,
    settings_for as settings_for,
)
from .status_store import SourceCounts as SourceCounts
from .store import RECEIVES_WRITES as RECEIVES_WRITES, DocumentTotals as DocumentTotals, Generation as Generation
from .transforms import TransformRegistry as TransformRegistry, Transforms as Transforms
