"""History: figures of traffic and pipeline over hours and days, in PostgreSQL, and the questions without an answer."""

from rag_core.history import store
from rag_core.history.base import QUERY_SERVER, ROWS, STREAM, History, Series, Span, Stored
from rag_core.history.recorder import Recorder, measure_memory, resident_bytes
from rag_core.history.report import read_history
from rag_core.history.store import UnansweredQuestion
from rag_core.history.tally import Tally
