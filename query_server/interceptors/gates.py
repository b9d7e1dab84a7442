"""Overload protection: a fixed number of calls at work, a bounded queue, and a quick refusal beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from query_server.calls import Call
from query_server.interceptors.chain import Layer
from query_server.metrics import Metrics
from query_server.policies import POLICIES, Gate
from rag_core.errors import Exhausted, Reason


class ConcurrencyGate:
    """`slots` calls inside at once, `queue` more waiting in order of arrival. For one event loop."""

    def __init__(self, gate: Gate, *, slots: int, queue: int, metrics: Metrics) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._queue = queue
        self._waiting = 0
        self._active = metrics.gate_active.labels(gate)
        self._queued = metrics.gate_waiting.labels(gate)
        self._refused = metrics.gate_refused.labels(gate)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold a slot. Raises `Exhausted` (`OVERLOADED`) at once when the queue is full."""
        await self._acquire()
        self._active.inc()
        try:
            yield
        finally:
            self._active.dec()
            self._slots.release()

    async def _acquire(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        if self._waiting >= self._queue:
            self._refused.inc()
            raise Exhausted(Reason.OVERLOADED, "the server is at its limit; retry after a short while")
        self._waiting += 1
        self._queued.inc()
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            self._queued.dec()


def limit_concurrency(gates: Mapping[Gate, ConcurrencyGate]) -> Layer:
    """Pass each call through the gate its policy names; methods without one (admin) are exempt."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        policy = POLICIES.get(call.method)
        if policy is None or policy.gate is None:
            yield
            return
        async with gates[policy.gate].enter():
            yield

    return layer
