"""The status of a source: one state, computed here from rows, which every face of the platform shows."""

from rag_core.source_status import store
from rag_core.source_status.base import Facts, Run, RunState, SourceState, SourceStatus, Texts, Turn, Waiting
from rag_core.source_status.machine import decide, needs_attention
from rag_core.source_status.sentences import SENTENCES, describe, duration, sentence_of
from rag_core.source_status.store import SourceReport, read, read_all
