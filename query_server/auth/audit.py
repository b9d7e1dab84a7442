"""Audit entries of refused calls and, when switched on, of queries.

An action that succeeds is recorded by its handler, in the transaction that does it; nothing of that is here. These
entries are buffered in memory and written in batches within a second: a killed process loses the entries of its last
second. When the buffer fills while the database is unavailable, further ones are counted as lost. Their loss never
fails a call, and a flood of refusals cannot fill the table faster than one batch a second.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from query_server.auth.policies import POLICIES
from query_server.runtime.calls import CallState
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from rag_core.errors import RagError, Reason
from rag_core.governance import audit
from rag_core.logging import get_logger
from rag_core.settings import Settings

ROOM = 1000
"""Size of the buffer, and of one write, in entries."""
WRITE_SECONDS = 1.0
OK = "ok"
_log = get_logger("query_server.audit")


@dataclass(frozen=True, slots=True)
class _AuditEntry:
    at: datetime
    actor: str
    tenant: str
    action: str
    outcome: str
    request_id: str
    query_hashes: tuple[str, ...] = ()


def _belongs(method: str, outcome: str) -> bool:
    """Return whether a call is recorded here; what its handler has recorded is not recorded twice."""
    policy = POLICIES.get(method)
    if policy is None or outcome == Reason.SCOPE_MISSING:
        return outcome == Reason.SCOPE_MISSING
    return policy.audited and not (policy.recorded and outcome == OK)


class AuditTrail:
    """Buffers audit entries and writes them. For one event loop."""

    def __init__(self, store: LazyStore, metrics: Metrics, settings: Settings) -> None:
        self._store = store
        secret = settings.audit_query_secret if settings.audit_queries else None
        self._query_key = secret.get_secret_value().encode() if secret is not None else None
        self._lost = metrics.audit_lost
        self._waiting: deque[_AuditEntry] = deque()

    @asynccontextmanager
    async def layer(self, call: CallState) -> AsyncIterator[None]:
        """Buffer an entry for the outcome of a call that is audited."""
        outcome = OK
        try:
            yield
        except RagError as error:
            outcome = error.reason
            raise
        except BaseException:
            outcome = Reason.INTERNAL
            raise
        finally:
            self._note(call, outcome)

    async def run(self) -> None:
        """Write the buffer periodically until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write the buffered entries; keep them while the database is unavailable."""
        if not self._waiting:
            return
        batch = list(self._waiting)
        self._waiting.clear()
        try:
            await asyncio.to_thread(self._write, batch)
        except Exception as error:  # a bug must not end the writer: what it holds would never be written
            reason = error.reason if isinstance(error, RagError) else type(error).__name__
            _log.warning("audit_write_deferred", entries=len(batch), reason=reason)
            for note in batch:
                self._enqueue(note)

    def _note(self, call: CallState, outcome: str) -> None:
        hashes = self._hashes(call)
        if call.identity is None or not (hashes or _belongs(call.method, outcome)):
            return
        who = call.identity
        self._enqueue(
            _AuditEntry(datetime.now(UTC), who.actor, who.tenant, call.method, outcome, call.request_id, hashes)
        )

    def _hashes(self, call: CallState) -> tuple[str, ...]:
        """The queries of a call as they are recorded: equal for equal text, meaningless without the key."""
        if self._query_key is None:
            return ()
        texts = (query.encode("utf-8", "surrogatepass") for query in call.queries)
        return tuple(hmac.new(self._query_key, query, "sha256").hexdigest() for query in texts)

    def _enqueue(self, note: _AuditEntry) -> None:
        if len(self._waiting) < ROOM:
            self._waiting.append(note)
        else:
            self._lost.inc()

    def _write(self, batch: list[_AuditEntry]) -> None:
        entries = [
            audit.AuditEntry(
                actor=note.actor,
                action=note.action,
                target=note.tenant,
                outcome=note.outcome,
                tenant=note.tenant,
                details={"request_id": note.request_id}
                | ({"query_hashes": list(note.query_hashes)} if note.query_hashes else {}),
                at=note.at,
            )
            for note in batch
        ]
        with self._store.get().engine.begin() as connection:
            audit.append(connection, entries)
