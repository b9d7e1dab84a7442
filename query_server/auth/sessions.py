"""Open sessions of the console: tokens that ask who they are, recorded in the background.

A session is recorded within a second of its use, and again once a minute. A use is lost with the process, or when the
database is away for long; that never fails a call.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from query_server.runtime.dependencies import LazyStore
from rag_core.errors import RagError
from rag_core.governance import access
from rag_core.governance.access import VerifiedToken
from rag_core.logging import get_logger

WRITE_SECONDS = 1.0
USE_SECONDS = 60.0
ROOM = 1000
"""Sessions that wait to be written, at most."""
_KEPT = 10_000
_log = get_logger("query_server.sessions")


class SessionRecorder:
    """Buffers uses of sessions and writes them. For one event loop."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store
        self._waiting: dict[str, VerifiedToken] = {}
        self._noted: OrderedDict[str, float] = OrderedDict()

    def used(self, token: VerifiedToken) -> None:
        """Note a use; at most one a minute is written."""
        now = time.monotonic()
        if now - self._noted.get(token.session, float("-inf")) < USE_SECONDS or len(self._waiting) >= ROOM:
            return
        self._noted[token.session] = now
        self._noted.move_to_end(token.session)
        if len(self._noted) > _KEPT:
            self._noted.popitem(last=False)
        self._waiting[token.session] = token

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted; keep it while the database is unavailable."""
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, {}
        try:
            await asyncio.to_thread(self._write, list(batch.values()))
        except Exception as error:  # a bug must not end the writer
            _log.warning("sessions_deferred", reason=error.reason if isinstance(error, RagError) else "INTERNAL")
            self._waiting = batch | self._waiting

    def _write(self, batch: list[VerifiedToken]) -> None:
        with self._store.get().engine.begin() as connection:
            access.record_sessions(connection, batch)
