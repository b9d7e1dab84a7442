"""`as_of`: up to which moment the index is known to hold what was committed, for each tenant.

Asked of PostgreSQL in the background, never by a search. While the database cannot be reached the last finding stays,
which is still true: the moment only gets older.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from query_server.metrics import Metrics
from query_server.parts import LazyStore
from query_server.polling import Poller

MAX_SHARE = 0.05
"""Part of the time that the question may keep the database busy; on a large installation it is asked less often."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`checked` is the database's clock when it was asked; `behind` the oldest commit not yet indexed, per tenant."""

    checked: datetime
    behind: Mapping[str, datetime] = field(default_factory=dict)


class Freshness:
    """Keeps the last finding. For one event loop."""

    def __init__(self, store: LazyStore, metrics: Metrics, *, seconds: float) -> None:
        self._store = store
        self._metrics = metrics
        self._finding: Finding | None = None
        self.poller = Poller("freshness", self._read, self._take, seconds=seconds, share=MAX_SHARE)

    def as_of(self, tenant: str) -> datetime | None:
        """`None` until the database has been asked once."""
        if self._finding is None:
            return None
        return self._finding.behind.get(tenant, self._finding.checked)

    def _read(self) -> Finding:
        # Imported here: SQLAlchemy takes as long to load as the rest of the server, and queries do without it.
        from query_server.handlers.overview import oldest_pending

        with self._store.get().engine.connect() as connection:
            return Finding(*oldest_pending(connection))

    def _take(self, finding: Finding) -> None:
        self._finding = finding
        oldest = min(finding.behind.values(), default=finding.checked)
        self._metrics.behind.set((finding.checked - oldest).total_seconds())
