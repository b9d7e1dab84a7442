"""The check of a tenant's document budget at every push."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag_core.governance.usage.base import Owner, out_of_budget

if TYPE_CHECKING:
    from sqlalchemy import Connection

_KEPT = 20
"""A count is kept for as long as so many take: counting takes a twentieth of the time at most."""


@dataclass(slots=True)
class _Stored:
    count: int
    until: float


class DocumentRoom:
    """For one process; thread-safe.

    To count half a million documents takes PostgreSQL 0.1 to 0.6 s, which no push can wait for. What this process
    accepts after a count is added to it; what others accept is seen at the next one. Only the last `near` documents of
    a budget are counted at each push, one transaction after the other, so that no two of them take the same place.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, near: int = 100) -> None:
        self._clock = clock
        self._near = near
        self._lock = threading.Lock()
        self._stored: dict[str, _Stored] = {}

    def require(self, connection: Connection, tenant: str, doc_id: uuid.UUID) -> None:
        """Raise `QuotaExceeded` when the tenant may not store one more document; a new version of one is none more."""
        from rag_core.database import (
            locks,  # here: a server makes a room at its start, and SQLAlchemy takes long to load
        )
        from rag_core.governance.usage import store

        limit = store.document_limit(connection, tenant)
        if limit is None or store.is_stored(connection, doc_id):
            return
        stored = self._counted(connection, tenant)
        if stored.count < limit < stored.count + self._near:
            locks.lock_transaction(connection, f"document-budget/{tenant}")
            stored = self._count(connection, tenant)
        with self._lock:
            if stored.count >= limit:
                raise out_of_budget("documents", limit, stored.count, Owner(tenant), datetime.now(UTC))
            stored.count += 1

    def _counted(self, connection: Connection, tenant: str) -> _Stored:
        with self._lock:
            known = self._stored.get(tenant)
        if known is not None and self._clock() < known.until:
            return known
        return self._count(connection, tenant)

    def _count(self, connection: Connection, tenant: str) -> _Stored:
        from rag_core.governance.usage import store

        began = self._clock()
        count = store.count_documents(connection, tenant)
        ended = self._clock()
        found = _Stored(count, ended + _KEPT * (ended - began))
        with self._lock:
            # Tenants whose budget was removed are not kept for ever.
            self._stored = {name: one for name, one in self._stored.items() if began < one.until}
            self._stored[tenant] = found
        return found
