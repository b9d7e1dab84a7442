"""A limit of the bytes that one tenant's answers take per second.

The gateway turns every answer into JSON on one thread, so a tenant that asks for megabytes fifty times a second delays
the searches of all others, although each of its calls is allowed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from query_server.auth.policies import POLICIES
from query_server.interceptors.chain import Layer
from query_server.runtime.calls import CallState
from rag_core.errors import Exhausted, Reason

BURST_SECONDS = 2.0
"""A tenant that was silent may take the bytes of so many seconds at once."""
_REMEMBERED = 10_000
"""Tenants whose answers are counted before those that owe nothing are dropped."""


class VolumeLimiter:
    """Bytes of answers by tenant: a token bucket each, kept as the time at which it is full again (GCRA).

    `rate` is in bytes a second. An answer is charged once it was made, so one answer may exceed the bucket; the tenant
    then waits until it is paid off.
    """

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._paid_at: dict[str, float] = {}

    def __len__(self) -> int:
        """The tenants that are remembered."""
        return len(self._paid_at)

    def check(self, tenant: str) -> None:
        """Raise `Exhausted` (`RATE_LIMITED`) while a tenant has more than its bytes."""
        if self._paid_at.get(tenant, 0.0) > self._clock() + BURST_SECONDS:
            megabytes = self._rate / 1e6
            raise Exhausted(
                Reason.RATE_LIMITED,
                f"the answers of this tenant are larger than {megabytes:.3g} MB a second: ask for fewer or smaller "
                "results, or retry in a second",
            )

    def charge(self, tenant: str, size: int) -> None:
        """Count `size` bytes of an answer."""
        now = self._clock()
        if len(self._paid_at) >= _REMEMBERED:
            self._paid_at = {name: paid_at for name, paid_at in self._paid_at.items() if paid_at > now}
        self._paid_at[tenant] = max(now, self._paid_at.get(tenant, now)) + size / self._rate


def limit_volume(limiter: VolumeLimiter) -> Layer:
    """Refuse the calls of a tenant whose answers took too many bytes; methods of operators are exempt."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        policy = POLICIES.get(call.method)
        if policy is None or policy.concurrency is None:
            yield
            return
        tenant = call.principal.tenant
        limiter.check(tenant)
        try:
            yield
        finally:
            limiter.charge(tenant, call.answer_bytes)

    return layer
