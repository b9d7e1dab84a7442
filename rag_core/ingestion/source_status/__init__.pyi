from . import store as store
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
from .sentences import SENTENCES as SENTENCES, describe as describe, duration as duration, sentence_of as sentence_of
from .store import SourceReport as SourceReport, orphaned as orphaned, read as read, read_all as read_all
