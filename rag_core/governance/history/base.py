"""Values of the history: steps, series and spans of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
STEPS = (MINUTE, TEN_MINUTES, HOUR)
"""Seconds that a row covers, from fine to coarse."""
KEEP_SECONDS = {MINUTE: 3 * 3600, TEN_MINUTES: 2 * 86_400}
"""Retention of the rows of the finer steps; those of an hour stay for `RAG_HISTORY_DAYS`."""

LATENCY_BOUNDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 30)
"""Upper bounds of the classes of a duration in seconds; a longer one counts in the class `inf`."""


class TimeSpan(Enum):
    """A stretch of time up to now, and the step that it is shown in."""

    HOUR = (3600, MINUTE)
    DAY = (86_400, TEN_MINUTES)
    WEEK = (7 * 86_400, STEPS[-1])

    def __init__(self, seconds: int, step: int) -> None:
        """`seconds` is its length, `step` the seconds of each of its points."""
        self.seconds = seconds
        self.step = step


class StoredSeries(StrEnum):
    """Series as they are stored. What their label is stands beside each."""

    CALLS = "calls"  # what was called: search, answer, documents
    FAILURES = "failures"  # the reason code
    SEARCH_SECONDS = "search_seconds"  # the class of the duration
    ANSWER_SECONDS = "answer_seconds"
    ANSWERS = "answers"  # the outcome
    FOUND = "found"  # the source
    CITED = "cited"
    INGESTED = "ingested"
    REFUSED = "refused"
    DOCUMENTS = "documents"
    PENDING = "pending"
    QUARANTINED = "quarantined"
    LAG = "lag"  # the stream
    LAG_SECONDS = "lag_seconds"
    QUEUED_RUNS = "queued_runs"  # the source
    MEMORY = "memory"  # the service
    DISK = "disk"  # what fills it
    DISK_FREE = "disk_free"
    UP = "up"  # the service; seconds that it recorded


BY_SOURCE = frozenset(
    {
        StoredSeries.FOUND,
        StoredSeries.CITED,
        StoredSeries.INGESTED,
        StoredSeries.REFUSED,
        StoredSeries.DOCUMENTS,
        StoredSeries.PENDING,
        StoredSeries.QUARANTINED,
        StoredSeries.QUEUED_RUNS,
    }
)
"""Series whose label is a source."""

QUERY_SERVER, STREAM, ROWS = "query-server", "stream", "rows"
"""Services that record: each is known to have been there when its `up` says so. `rows` is the sensor `history`."""


@dataclass(frozen=True, slots=True)
class Key:
    """Identity of a figure: its series, tenant and label."""

    series: str
    tenant: str = ""
    label: str = ""


@dataclass(slots=True)
class Figure:
    """A figure of one minute: a count, or samples of a gauge."""

    total: float = 0.0
    samples: int = 0
    highest: float = 0.0

    def add(self, amount: float) -> None:
        """Count."""
        self.total += amount

    def sample(self, value: float) -> None:
        """Take a sample."""
        self.highest = max(self.highest, value) if self.samples else value
        self.total += value
        self.samples += 1


@dataclass(slots=True)
class Unanswered:
    """A question without an answer. Its `text` is written where the switch of its tenant says so, or, without one,
    when `plain` is true."""

    outcome: str
    asked: int
    first_at: datetime
    last_at: datetime
    text: str | None = None
    plain: bool = True


@dataclass(slots=True)
class MinuteFigures:
    """All that one process recorded of a minute, by the Unix time at which the minute begins."""

    at: int
    figures: dict[Key, Figure] = field(default_factory=dict)
    unanswered: dict[tuple[str, str], Unanswered] = field(default_factory=dict)
    """By tenant and hash of the question."""

    @property
    def begins(self) -> datetime:
        """The minute's first moment."""
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: values by Unix time, each of the step that begins there. A time without a value is a gap."""

    name: str
    label: str
    points: Mapping[int, float]
    total: float = 0.0
    """Sum over the whole span; 0 for levels and quantiles."""


@dataclass(frozen=True, slots=True)
class History:
    """The series of a span. `begins` is the time of the first point, `until` the end of the last one."""

    begins: int
    until: int
    step: int
    series: tuple[Series, ...]


def duration_class(seconds: float) -> str:
    """The class of a duration, by its upper bound."""
    return next((f"{bound:g}" for bound in LATENCY_BOUNDS if seconds <= bound), "inf")
