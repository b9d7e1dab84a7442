"""Concurrency limits: a fixed number of running calls, a bounded queue, and an immediate refusal beyond it.

No tenant holds more than its share of either, and a place that becomes free goes to the waiting tenant that holds
fewest. A paced gate gives a tenant one slot beside others, and lets it rest after each call. A call reaches a gate
once its message is complete and its caller verified (`chain`, `stack`).
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
BESIDE_SECONDS = 1.0
"""A tenant whose last call began within this time is served beside others."""
RESTS = 2.0
"""Rest of a paced slot, in durations of the call before. At 50 answers a second of one tenant the p95 of another's
searches was 2.5 to 3.2 times its value alone without the rest and the one slot, 1.4 with both (`rag bench abuse`)."""
LONGEST_REST_SECONDS = 1.0


class RecentTenants:
    """The tenants that called last, for one event loop."""

    def __init__(self) -> None:
        self._called: dict[str, float] = {}

    def note(self, tenant: str) -> None:
        """Remember a call. The last two tenants are enough to find one that is not the caller's."""
        self._called.pop(tenant, None)
        self._called[tenant] = asyncio.get_running_loop().time()
        if len(self._called) > 2:
            del self._called[next(iter(self._called))]

    def beside(self, tenant: str) -> bool:
        """Return whether another tenant called within `BESIDE_SECONDS`."""
        since = asyncio.get_running_loop().time() - BESIDE_SECONDS
        return any(at > since for name, at in self._called.items() if name != tenant)


class ConcurrencyLimiter:
    """`slots` calls inside, `queue` more waiting; one tenant has at most `share` of each. For one event loop.

    `paced` is for calls that compute in this process: they and the searches of others take turns at one interpreter
    lock, so beside others, which `recent` knows, a tenant has one slot at a time and rests after each call.
    """

    def __init__(
        self, gate: ConcurrencyClass, *, slots: int, queue: int, share: float, metrics: Metrics,
        recent: RecentTenants | None = None, paced: bool = False,
    ) -> None:  # fmt: skip
        self._recent = recent or RecentTenants()
        self._paced = paced
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
        self._recent.note(tenant)
        await self._acquire(tenant)
        self._active.inc()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self._active.dec()
            if self._beside(tenant):
                rest = min(RESTS * (loop.time() - began), LONGEST_REST_SECONDS)
                loop.call_later(rest, self._release, tenant)
            else:
                self._release(tenant)

    def _beside(self, tenant: str) -> bool:
        return self._paced and self._recent.beside(tenant)

    def _below_share(self, tenant: str) -> bool:
        return self._held[tenant] < (1 if self._beside(tenant) else self._most_held)

    async def _acquire(self, tenant: str) -> None:
        if self._free and self._below_share(tenant) and tenant not in self._waiting:
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
            filter(self._below_share, self._waiting),
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
