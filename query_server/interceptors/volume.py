"""A limit of the bytes that one tenant's answers take per second.

The gateway turns every answer into JSON on one thread, so a tenant that asks for megabytes fifty times a second delays
the searches of all others, although each of its calls is allowed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from query_server.auth.policies import POLICIES
from query_server.interceptors.chain import Layer
from query_server.interceptors.concurrency import RecentTenants
from query_server.runtime.calls import CallState
from rag_core.errors import Exhausted, Reason

BESIDE = 0.25
"""Share of the rate while another tenant calls. The gateway writes 1.4 MB of JSON in 25 ms: at 2 MB a second that is
less than one search in twenty, so the p95 of the others does not see it."""
BURST_SECONDS = 2.0
"""A tenant that was silent may take the bytes of so many seconds at once."""
_REMEMBERED = 10_000
"""Tenants whose answers are counted before those that owe nothing are dropped."""


@dataclass(slots=True)
class _Account:
    """The time at which a tenant's bucket is full again, and the bytes that its answers usually take."""

    paid_at: float = 0.0
    usual: float = 0.0


class VolumeLimiter:
    """Bytes of answers by tenant: a token bucket each, kept as the time at which it is full again (GCRA).

    `rate` is in bytes a second; while another tenant calls, which `recent` knows, it is a quarter. The size of an
    answer is known once it was made, so a call reserves what the tenant's answers usually take: without that all calls
    that run at the same time would pass before the first is charged. One answer may exceed the bucket; the tenant then
    waits until it is paid off.
    """

    def __init__(
        self, rate: float, recent: RecentTenants | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._full_rate = rate
        self._recent = recent
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def __len__(self) -> int:
        """The tenants that are remembered."""
        return len(self._accounts)

    def reserve(self, tenant: str) -> float:
        """Reserve the bytes of an answer and return their number. Raises `Exhausted` (`RATE_LIMITED`) while the tenant
        has more than its bytes."""
        now, account, rate = self._clock(), self._account(tenant), self._rate(tenant)
        if account.paid_at > now + BURST_SECONDS:
            megabytes = rate / 1e6
            raise Exhausted(
                Reason.RATE_LIMITED,
                f"the answers of this tenant are larger than {megabytes:.3g} MB a second: ask for fewer or smaller "
                "results, or retry in a second",
            )
        account.paid_at = max(now, account.paid_at) + account.usual / rate
        return account.usual

    def charge(self, tenant: str, reserved: float, size: int) -> None:
        """Count `size` bytes of an answer for which `reserved` bytes were reserved; 0: there was no answer."""
        account = self._account(tenant)
        account.paid_at = max(self._clock(), account.paid_at) + (size - reserved) / self._rate(tenant)
        if size:
            account.usual = (account.usual + size) / 2 if account.usual else size

    def _rate(self, tenant: str) -> float:
        beside = self._recent is not None and self._recent.beside(tenant)
        return self._full_rate * (BESIDE if beside else 1)

    def _account(self, tenant: str) -> _Account:
        account = self._accounts.get(tenant)
        if account is None:
            if len(self._accounts) >= _REMEMBERED:
                now = self._clock()
                self._accounts = {name: held for name, held in self._accounts.items() if held.paid_at > now}
            account = self._accounts[tenant] = _Account()
        return account


def limit_volume(limiter: VolumeLimiter) -> Layer:
    """Refuse the calls of a tenant whose answers took too many bytes; methods of operators are exempt."""

    @asynccontextmanager
    async def layer(call: CallState) -> AsyncIterator[None]:
        policy = POLICIES.get(call.method)
        if policy is None or policy.concurrency is None:
            yield
            return
        tenant = call.principal.tenant
        reserved = limiter.reserve(tenant)
        try:
            yield
        finally:
            limiter.charge(tenant, reserved, call.answer_bytes)

    return layer
