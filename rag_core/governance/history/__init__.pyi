from . import store as store
from .base import (
    QUERY_SERVER as QUERY_SERVER,
    ROWS as ROWS,
    STREAM as STREAM,
    History as History,
    Series as Series,
    TimeSpan as TimeSpan,
    StoredSeries as StoredSeries,
)
from .recorder import (
    HistoryRecorder as HistoryRecorder,
    measure_memory as measure_memory,
)
from .report import read_history as read_history
from .store import UnansweredQuestion as UnansweredQuestion
from .tally import Tally as Tally
