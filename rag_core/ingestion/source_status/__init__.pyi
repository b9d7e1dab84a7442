from . import observable_store as observable_store, store as store
from .base import (
    Facts as Facts,
    SourceRun as SourceRun,
    RunState as RunState,
    SourceState as SourceState,
    SourceStatus as SourceStatus,
    Texts as Texts,
    EmbeddingTurn as EmbeddingTurn,
    WaitingCause as WaitingCause,
)
from .machine import decide as decide, needs_attention as needs_attention
from .observable_store import (
    WORKER_ENTRY as WORKER_ENTRY,
    WORKER_SUFFIX as WORKER_SUFFIX,
    ListedSource as ListedSource,
    ObservableSource as ObservableSource,
    SourceName as SourceName,
    WantedRun as WantedRun,
)
from .sentences import SENTENCES as SENTENCES, describe as describe, duration as duration, sentence_of as sentence_of
from .store import SourceReport as SourceReport, orphaned as orphaned, read as read, read_all as read_all
