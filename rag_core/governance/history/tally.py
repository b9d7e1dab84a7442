"""Counts of one process until they are written: a minute at a time, bounded, from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rag_core.governance.history.base import (
    MINUTE,
    Figure,
    Key,
    MinuteFigures,
    StoredSeries,
    Unanswered,
    duration_class,
)

MAX_KEYS = 2000
"""Different figures of a minute; further ones are counted under the label `other`, without a tenant."""
MAX_QUESTIONS = 200
"""Different unanswered questions of a minute; further ones are left out."""
MAX_MINUTES = 10
"""Minutes that wait for a database that is away; older ones are given up, and show as a gap."""
OTHER = "other"
_UNLIMITED = frozenset({StoredSeries.UP, StoredSeries.MEMORY})


class Tally:
    """Counts per minute. Thread-safe, and cheap enough for every call."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[int, MinuteFigures] = {}

    def count(self, series: StoredSeries, amount: float = 1.0, *, tenant: str = "", label: str = "") -> None:
        """Add to a counter."""
        with self._lock:
            self._figure(self._current(), Key(series, tenant, label)).add(amount)

    def sample(
        self, series: StoredSeries, value: float, *, tenant: str = "", label: str = "", at: int | None = None
    ) -> None:
        """Take a sample of a gauge, of this minute or of the one that begins `at`."""
        with self._lock:
            minute = self._current() if at is None else self._minute(at)
            self._figure(minute, Key(series, tenant, label)).sample(value)

    def record_call(self, tenant: str, kind: str, seconds: float, reason: str) -> None:
        """Count a call by its kind, its duration, and its reason code when it failed."""
        with self._lock:
            minute = self._current()
            self._figure(minute, Key(StoredSeries.CALLS, tenant, kind)).add(1)
            if reason:
                self._figure(minute, Key(StoredSeries.FAILURES, tenant, reason)).add(1)
            elif kind in ("search", "answer"):
                durations = StoredSeries.SEARCH_SECONDS if kind == "search" else StoredSeries.ANSWER_SECONDS
                self._figure(minute, Key(durations, tenant, duration_class(seconds))).add(1)

    def record_sources(self, series: StoredSeries, tenant: str, sources: Iterable[str]) -> None:
        """Count each of these sources once."""
        for source in set(sources):
            self.count(series, tenant=tenant, label=source)

    def record_unanswered(
        self, tenant: str, question_hash: str, text: str | None, outcome: str, *, plain: bool = True
    ) -> None:
        """Count a question that got no answer; `plain` decides about its text for tenants without a switch."""
        with self._lock:
            minute, now = self._current(), datetime.fromtimestamp(self._clock(), UTC)
            known = minute.unanswered.get((tenant, question_hash))
            if known is not None:
                known.asked, known.last_at, known.outcome = known.asked + 1, now, outcome
            elif len(minute.unanswered) < MAX_QUESTIONS:
                minute.unanswered[tenant, question_hash] = Unanswered(outcome, 1, now, now, text, plain)

    def record_up(self, at: int, service: str, seconds: float) -> None:
        """Record that a service was there for so many seconds of a minute."""
        with self._lock:
            self._figure(self._minute(at), Key(StoredSeries.UP, "", service)).add(seconds)

    def take(self, *, before: int) -> list[MinuteFigures]:
        """Remove and return the minutes that begin before a Unix time, oldest first."""
        with self._lock:
            return [self._minutes.pop(at) for at in sorted(self._minutes) if at < before]

    def put_back(self, minutes: Iterable[MinuteFigures]) -> int:
        """Keep minutes that could not be written; returns how many had to be given up."""
        with self._lock:
            for minute in minutes:
                self._minutes[minute.at] = minute
            return self._give_up_oldest()

    def _current(self) -> MinuteFigures:
        return self._minute(int(self._clock()) // MINUTE * MINUTE)

    def _minute(self, at: int) -> MinuteFigures:
        if at not in self._minutes:
            self._minutes[at] = MinuteFigures(at)
            self._give_up_oldest()
        return self._minutes[at]

    def _give_up_oldest(self) -> int:
        old = sorted(self._minutes)[:-MAX_MINUTES]
        for at in old:
            del self._minutes[at]
        return len(old)

    def _figure(self, minute: MinuteFigures, key: Key) -> Figure:
        figures = minute.figures
        if key not in figures and len(figures) >= MAX_KEYS and key.series not in _UNLIMITED:
            key = Key(key.series, "", OTHER)
        return figures.setdefault(key, Figure())
