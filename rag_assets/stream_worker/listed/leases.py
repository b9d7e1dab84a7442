"""The listed sources that a worker observes: an advisory lock each, which ends with the worker's session."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from rag_core.database import Store, locks
from rag_core.ingestion.source_status import SourceName, observable_store

SPARE_SECONDS = 15.0
"""A source that nobody has taken for so long is taken beyond a worker's share: the others cannot open it."""


class Leases:
    """Divide the sources among the living workers. `held` are this worker's. Not thread-safe."""

    def __init__(self, store: Store, *, spare_seconds: float = SPARE_SECONDS) -> None:
        self._store, self._spare = store, spare_seconds
        self._session: Connection | None = None
        self._free_since: dict[SourceName, float] = {}
        self._workers = 0
        self.held: set[SourceName] = set()

    def share(self, wanted: Collection[SourceName], workers: int) -> None:
        """Give back what is not wanted, or beyond a share when a worker joined; take what is free, to a share at once.

        Raises `Unavailable` without the database; all leases are lost then.
        """
        session = self._opened()
        for source in self.held - set(wanted):
            self._give_back(session, source)
        share = math.ceil(len(wanted) / max(1, workers))
        if workers > self._workers:
            for source in sorted(self.held)[share:]:
                self._give_back(session, source)
        self._workers = workers
        self._take(session, [source for source in sorted(wanted) if source not in self.held], share)

    def close(self) -> None:
        """Give everything back. Idempotent."""
        session, self._session = self._session, None
        self.held, self._free_since = set(), {}
        if session is not None:
            session.invalidate()  # the locks end with the session
            session.close()

    def _opened(self) -> Connection:
        if self._session is None:
            self._session = self._store.engine.connect()
        return self._session

    def _take(self, session: Connection, others: Sequence[SourceName], share: int) -> None:
        now = time.monotonic()
        taken = observable_store.observed(session, others)
        session.commit()
        free = [source for source in others if source not in taken]
        self._free_since = {source: self._free_since.get(source, now) for source in free}
        for source in free:
            spare = now - self._free_since[source] >= self._spare
            if (len(self.held) < share or spare) and locks.try_hold(session, *observable_store.lock_name(*source)):
                self.held.add(source)

    def _give_back(self, session: Connection, source: SourceName) -> None:
        locks.let_go(session, *observable_store.lock_name(*source))
        self.held.discard(source)
        self._free_since[source] = time.monotonic()
