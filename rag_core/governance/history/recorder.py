"""The thread that writes what a process counted: once a minute, exactly once, without delaying anybody."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from rag_core.errors import RagError
from rag_core.governance.history.base import MINUTE, MinuteFigures, StoredSeries
from rag_core.governance.history.tally import Tally
from rag_core.logging import get_logger
from rag_core.platform import resident_bytes

if TYPE_CHECKING:
    from rag_core.database import Store

LATE_SECONDS = 1.0
"""Delay after the end of a minute until it is written, so that a call that ends just then is in it."""
CLOSE_SECONDS = 3.0
"""Time allowed to the last write of a process that ends."""
_ASLEEP_SECONDS = 3 * MINUTE
"""A process that was not woken for so long (a suspended machine) recorded nothing meanwhile."""
_log = get_logger(__name__)


class HistoryRecorder:
    """Writes a tally every minute from a daemon thread. While the database is away the newest minutes wait.

    `service` names a process that is there all the time: its minutes are known to be complete, so that a minute
    without calls differs from one without a record. Work that comes and goes has none.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        *,
        service: str | None = None,
        measure: Callable[[Tally, int], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`measure` takes samples for the minute that begins at the Unix time it is given, before that is written."""
        self.tally = Tally(clock=clock)
        self._store = store
        self._service = service
        self._measure = measure
        self._clock = clock
        self._instance = uuid.uuid4().hex
        self._since = clock()
        self._stopping = threading.Event()
        self._reachable = True
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def close(self) -> None:
        """Write what is left and end. Raises nothing, and waits a few seconds at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def flush(self, *, unfinished: bool = False) -> None:
        """Write the minutes that have ended, or all. What cannot be written waits for the next time."""
        now = self._clock()
        this_minute = int(now) // MINUTE * MINUTE
        self._account(now if unfinished else this_minute)
        minutes = self.tally.take(before=this_minute + MINUTE if unfinished else this_minute)
        if not minutes:
            return
        try:
            self._write(minutes)
            self._reachable = True
        except Exception as error:  # a figure that is lost must never end the work it is about
            lost = self.tally.put_back(minutes)
            reason = str(error.reason) if isinstance(error, RagError) else type(error).__name__
            if self._reachable or lost:
                _log.warning("history_write_deferred", minutes=len(minutes), lost=lost, reason=reason)
            self._reachable = False

    def _run(self) -> None:
        while not self._stopping.wait(MINUTE - self._clock() % MINUTE + LATE_SECONDS):
            self.flush()
        self.flush(unfinished=True)

    def _account(self, until: float) -> None:
        """Record presence in every minute up to `until`, and measure the last of them."""
        if self._service is None:
            return
        since, self._since = self._since, max(self._since, until)
        if until - since > _ASLEEP_SECONDS:
            since = until - MINUTE
        at = int(since) // MINUTE * MINUTE
        while at < until:
            seconds = min(until, at + MINUTE) - max(since, at)
            if seconds > 0:
                self.tally.record_up(at, self._service, seconds)
            if at + MINUTE >= until and self._measure is not None:
                self._measure(self.tally, at)
            at += MINUTE

    def _write(self, minutes: list[MinuteFigures]) -> None:
        # Imported here: SQLAlchemy takes as long to load as the rest of a server.
        from rag_core.governance.history import store as history

        while minutes:
            with self._store().engine.begin() as connection:
                history.write(connection, self._instance, minutes[0])
            del minutes[0]  # what is left is what was not written


def measure_memory(service: str) -> Callable[[Tally, int], None]:
    """Samples the resident memory of this process."""

    def measure(tally: Tally, at: int) -> None:
        found = resident_bytes()
        if found is not None:
            tally.sample(StoredSeries.MEMORY, found, label=service, at=at)

    return measure
