"""Whether this server can answer, kept up to date beside the calls.

Policy: only what is true of this process alone makes it unready (starting, draining, an index that was never promoted).
An index that hangs or a database that is down is reported but does not take the server out of rotation: every replica
would see the same, and callers are better served by a typed error than by no backend at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from query_server.blocking import BlockingPool
from query_server.metrics import Metrics
from rag_core.errors import RagError, Reason
from rag_core.index.base import VectorIndex
from rag_core.logging import get_logger

PROBE_SECONDS = 2.0
INTERVAL_SECONDS = 1.0
_log = get_logger("query_server.readiness")


@dataclass(frozen=True, slots=True)
class Readiness:
    """`reasons` are codes of `rag_core.errors.Reason`; `degraded` ones do not make the server unready."""

    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    generation: str | None = None

    @property
    def ready(self) -> bool:
        return not self.reasons


class ReadinessMonitor:
    """Asks the index for its alias every second and tells `on_change` whether queries can be answered."""

    def __init__(
        self,
        index: VectorIndex,
        pool: BlockingPool,
        metrics: Metrics,
        on_change: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._index = index
        self._pool = pool
        self._metrics = metrics
        self._on_change = on_change
        self._state = Readiness(reasons=(Reason.INDEX_EMPTY,))
        self._draining = False

    @property
    def state(self) -> Readiness:
        """The last finding; read from any thread."""
        return self._state

    async def refresh(self) -> None:
        """Look once."""
        await self._set(await self._probe())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.refresh()

    async def drain(self) -> None:
        """From now on the server is not ready, whatever the index says."""
        self._draining = True
        await self._set(Readiness(reasons=(Reason.SHUTTING_DOWN,), generation=self._state.generation))

    async def _probe(self) -> Readiness:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                generation = await self._pool.run(self._index.alias)
        except TimeoutError:
            return self._unreachable(Reason.INDEX_UNAVAILABLE)
        except RagError as error:
            return self._unreachable(error.reason)
        if generation is None:
            return Readiness(reasons=(Reason.INDEX_EMPTY,))
        return Readiness(generation=generation)

    def _unreachable(self, reason: Reason) -> Readiness:
        known = self._state.generation
        if known is None:  # it has never answered, so there is nothing this server could serve
            return Readiness(reasons=(reason,))
        return Readiness(degraded=(reason,), generation=known)

    async def _set(self, state: Readiness) -> None:
        if self._draining and Reason.SHUTTING_DOWN not in state.reasons:
            return
        before, self._state = self._state, state
        self._metrics.ready.set(state.ready)
        if before != state:
            _log.info("readiness", ready=state.ready, reasons=state.reasons, degraded=state.degraded)
        await self._on_change(state.ready)
