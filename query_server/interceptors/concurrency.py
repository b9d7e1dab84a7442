"""Concurrency limits: a fixed number of running calls, a bounded queue, and an immediate refusal beyond it.

No tenant holds more than its share of either, and a place that becomes free goes to the waiting tenant that holds
fewest. A call reaches a gate once its message is complete and its caller verified (`chain`, `stack`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from query_server.auth.policies import POLICIES, ConcurrencyClass
from query_server.interceptors.chain import Layer
from query_server.runtime.calls import CallState
from query_server.runtime.metrics import Metrics
from rag_core.errors import Exhausted, Reason

_Place = asyncio.Future[None]


class ConcurrencyLimiter:
    """`slots` calls inside, `queue` more waiting; one tenant has at most `share` of each. For one event loop."""

    def __init__(self, gate: ConcurrencyClass, *, slots: int, queue: int, share: float, metrics: Metrics) -> None:
        self._free = slots
        self._queue = queue
        self._most_held = max(1, int(slots * share))
        self._most_waiting = max(min(queue, 1), int(queue * share))
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Place]] = {}
        self._active = metrics.gate_active.labels(gate)
        self._queued = metrics.gate_waiting.labels(gate)
        self._refused = metrics.gate_refused.labels(gate)

    @asynccontextmanager
    async def enter(self, tenant: str) -> AsyncIterator[None]:
        """Hold a slot. Raises `Exhausted` (`OVERLOADED`) at once when the queue or the tenant's share of it is full."""
        await self._acquire(tenant)
        self._active.inc()
        try:
            yield
        finally:
            self._active.dec()
            self._release(tenant)

    async def _acquire(self, tenant: str) -> None:
        if self._free and self._held[tenant] < self._most_held:
            # A tenant that waits while a slot is free has its share already, so none is overtaken.
            self._take(tenant)
            return
        place = self._enqueue(tenant)
        self._queued.inc()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._release(tenant)  # the slot came at the moment the caller left
            self._remove(tenant, place)
            raise
        finally:
            self._queued.dec()

    def _enqueue(self, tenant: str) -> _Place:
        line = self._waiting.get(tenant, ())
        if len(line) >= self._most_waiting or sum(map(len, self._waiting.values())) >= self._queue:
            self._refused.inc()
            raise Exhausted(Reason.OVERLOADED, "the server is at its limit; retry after a short while")
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(place)
        return place

    def _take(self, tenant: str) -> None:
        self._free -= 1
        self._held[tenant] += 1

    def _release(self, tenant: str) -> None:
        self._free += 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        while self._free and (follower := self._next()) is not None:
            place = self._waiting[follower][0]
            self._remove(follower, place)
            if not place.cancelled():
                self._take(follower)
                place.set_result(None)

    def _remove(self, tenant: str, place: _Place) -> None:
        """Take a place out of its tenant's line, and the line to the end, so that equal holders take turns."""
        line = self._waiting.pop(tenant, deque())
        with suppress(ValueError):
            line.remove(place)
        if line:
            self._waiting[tenant] = line

    def _next(self) -> str | None:
        """The waiting tenant that holds fewest slots and is below its share; of equals the one that waits longest."""
        return min(
            (tenant for tenant in self._waiting if self._held[tenant] < self._most_held),
            key=lambda tenant: self._held[tenant],
            default=None,
        )


def limit_concurrency(limiters: Mapping[ConcurrencyClass, ConcurrencyLimiter]) -> Layer:
    """Pass each call through the gate its policy names; methods without one (admin) are exempt."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        policy = POLICIES.get(call.method)
        if policy is None or policy.concurrency is None or policy.in_parts:
            yield
            return
        async with limiters[policy.concurrency].enter(call.principal.tenant):
            yield

    return layer
