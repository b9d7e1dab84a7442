"""Readiness of this server, updated beside the calls.

Only what is true of this process alone makes it unready: it starts or drains, it has no query model for the generation
that readers are on, the index it reads has none, or it has not read the revocations. An index that hangs or a database
that is down is reported but does not take the server out of rotation: every replica would see the same, and callers are
better served by a typed error than by no server at all.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

from query_server.runtime.blocking import BlockingPool
from query_server.runtime.metrics import Metrics
from rag_core.errors import DataCorruption, NotFound, RagError, Reason
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex
from rag_core.status_pages import Page

PROBE_SECONDS = 2.0
INTERVAL_SECONDS = 1.0
_ANY_POINT = uuid.UUID(int=0)
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


def health_pages(readiness: Callable[[], Readiness]) -> dict[str, Page]:
    """/health: the process lives. /ready: it can answer, or why not."""

    def ready() -> tuple[bool, dict[str, object]]:
        state = readiness()
        return state.ready, {"ready": state.ready, **asdict(state)}

    return {"/health": lambda: (True, {"status": "alive"}), "/ready": ready}


class ReadinessMonitor:
    """Checks every second whether queries can be answered and reports it to `on_change`.

    `model_problem` returns why this process cannot embed queries for a generation, or `None`. `requirements` are
    further conditions of this process: the reason code to report while one of them is false.
    """

    def __init__(
        self,
        index: VectorIndex,
        model_problem: Callable[[str], Awaitable[Reason | None]],
        pool: BlockingPool,
        metrics: Metrics,
        on_change: Callable[[bool], Awaitable[None]],
        *,
        requirements: Mapping[Reason, Callable[[], bool]],
    ) -> None:
        self._index = index
        self._model_problem = model_problem
        self._pool = pool
        self._metrics = metrics
        self._on_change = on_change
        self._requirements = requirements
        self._state = Readiness(reasons=(Reason.INDEX_EMPTY,))
        self._draining = False

    @property
    def state(self) -> Readiness:
        """The last finding; read from any thread."""
        return self._state

    async def refresh(self) -> None:
        """Probe once."""
        found = await self._probe()
        unmet = tuple(reason for reason, met in self._requirements.items() if not met())
        await self._set(Readiness((*found.reasons, *unmet), found.degraded, found.generation))

    async def run(self) -> None:
        """Probe until cancelled."""
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
                generation = await self._pool.run(_readable, self._index)
        except TimeoutError:
            return self._unreachable(Reason.INDEX_UNAVAILABLE)
        except DataCorruption as error:
            return Readiness(reasons=(error.reason,), generation=self._state.generation)
        except RagError as error:
            return self._unreachable(error.reason)
        if generation is None:
            return Readiness(reasons=(Reason.INDEX_EMPTY,))
        problem = await self._problem(generation)
        return Readiness(reasons=() if problem is None else (problem,), generation=generation)

    async def _problem(self, generation: str) -> Reason | None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._model_problem(generation)
        except TimeoutError:
            return Reason.EMBEDDER_UNAVAILABLE

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


def _readable(index: VectorIndex) -> str | None:
    """The generation that readers are on. Raises `DataCorruption` (`INDEX_CORRUPT`) when nothing is served from it."""
    generation = index.alias()
    if generation is not None:
        with suppress(NotFound):  # the alias named a generation that is gone
            index.fetch(generation, [_ANY_POINT])
    return generation
