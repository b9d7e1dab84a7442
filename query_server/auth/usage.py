"""Usage of this server: counted in memory on the way of a call, exchanged with the others beside it.

PostgreSQL has the record: every `RAG_USAGE_SECONDS` each server writes its totals of the day and reads the budgets and
what the others used. Where there is Redis, the totals of those who have a budget go through it ten times a second. A
refusal is late by what all servers answer in that time; no call ever waits for either.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import date
from typing import Protocol

from query_server.auth.policies import COUNTED
from query_server.runtime.calls import CallState
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import READ_SECONDS, database_thread
from rag_core.answering import Tokens
from rag_core.errors import QuotaExceeded, RagError, Reason
from rag_core.governance import usage
from rag_core.governance.access import NameHash, Principal
from rag_core.governance.usage import Budget, Meter, Owner, Usage, key_of
from rag_core.logging import get_logger
from rag_core.settings import Settings

SHARED_SECONDS = 0.1
"""Interval at which totals are exchanged through Redis."""
_AT_ONCE = 16
"""Owners whose totals are under way to Redis at the same time."""
_KEPT_SECONDS = 2 * 86_400
_FAREWELL_SECONDS = 2.0
_NOT_THE_CALLERS = frozenset(
    {
        Reason.OVERLOADED,
        Reason.INTERNAL,
        Reason.SHUTTING_DOWN,
        Reason.INDEX_UNAVAILABLE,
        Reason.INDEX_CORRUPT,
        Reason.INDEX_EMPTY,
        Reason.DATABASE_UNAVAILABLE,
        Reason.EMBEDDER_UNAVAILABLE,
        Reason.ANSWERER_UNAVAILABLE,
        Reason.REVOCATIONS_UNKNOWN,
        Reason.INBOX_FULL,
    }
)
"""Failures of the platform: such a call is not counted, so that trying again costs nothing."""
_log = get_logger("query_server.usage")


class SharedCounter(Protocol):
    """Sums that all servers share, as the storages of the `limits` library have them."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int: ...

    async def get(self, key: str) -> int: ...


def shared_counters(settings: Settings) -> SharedCounter | None:
    """The counters in Redis; `None` where there is no Redis."""
    if settings.redis_url is None:
        return None
    from query_server.rate_limits.counting import redis_storage

    return redis_storage(settings.redis_url.get_secret_value(), seconds=settings.redis_seconds, prefix="rag-usage")


class UsageMeter:
    """Counts the calls and model tokens of one server, and refuses beyond a budget. For one event loop."""

    def __init__(
        self,
        store: LazyStore,
        metrics: Metrics,
        *,
        seconds: float,
        hashes: NameHash,
        shared: SharedCounter | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.meter = meter or Meter()
        self._store = store
        self._metrics = metrics
        self._seconds = seconds
        self._hashes = hashes
        self._shared = shared
        self._writer = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.thread = database_thread("usage")
        self._reachable = True
        self._heard = True

    # --- on the way of a call ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def layer(self, call: CallState) -> AsyncIterator[None]:
        """Count the calls of `COUNTED`, and refuse those beyond a budget."""
        if call.method not in COUNTED:
            yield
            return
        tenant, key_id = call.principal.tenant, key_of(call.principal)
        try:
            self.meter.admit(tenant, key_id)
        except QuotaExceeded as error:
            self._refused(error)
            raise
        try:
            yield
        except asyncio.CancelledError:  # the caller left, or its time is over: the work was done
            self.meter.add_calls(tenant, key_id, call.weight - 1)
            raise
        except QuotaExceeded as error:
            self.meter.refuse(tenant, key_id)
            self._refused(error)
            raise
        except RagError as error:
            if error.reason in _NOT_THE_CALLERS:
                self.meter.add_calls(tenant, key_id, -1)
            raise
        except Exception:
            self.meter.add_calls(tenant, key_id, -1)
            raise
        self.meter.add_calls(tenant, key_id, call.weight - 1)

    def tokens_used_up(self, principal: Principal) -> QuotaExceeded | None:
        """The error of a budget of model tokens that is used up, if one is."""
        return self.meter.tokens_used_up(principal.tenant, key_of(principal))

    def add_tokens(self, principal: Principal, tokens: Tokens) -> None:
        """Count what a model read and wrote for a caller."""
        self.meter.add_tokens(principal.tenant, key_of(principal), prompt=tokens.prompt, completion=tokens.completion)

    def used(self, principal: Principal) -> tuple[Usage, Usage]:
        """Today's usage of the caller's tenant and of its key, as far as this server knows."""
        tenant, key_id = principal.tenant, key_of(principal)
        return self.meter.used(Owner(tenant)), self.meter.used(Owner(tenant, key_id)) if key_id else Usage()

    def _refused(self, error: QuotaExceeded) -> None:
        self._metrics.quota_refusals.labels(error.metadata["budget"]).inc()

    # --- beside the calls --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Exchange with the database until cancelled."""
        while True:
            await self.exchange()
            await asyncio.sleep(self._seconds)

    async def run_shared(self) -> None:
        """Exchange through Redis until cancelled."""
        while True:
            await self.share()
            await asyncio.sleep(SHARED_SECONDS)

    async def exchange(self) -> None:
        """Write what is new, and read budgets and what the others used. While the database is away, both wait."""
        try:
            await self._exchange(READ_SECONDS)
            self._reachable = True
        except RagError as error:
            self._metrics.usage_failures.labels("database").inc()
            if self._reachable:
                _log.warning("usage_not_written", reason=str(error.reason))
            self._reachable = False
        self._show()

    async def _exchange(self, seconds: float) -> None:
        if days := self.meter.forget_old():
            _log.error("usage_lost", days=days, reason="the database could not be reached for more than a day")
        day, changed = self.meter.day, self.meter.unwritten()

        def work() -> tuple[dict[Owner, Budget], dict[Owner, Usage]]:
            with self._store.get().engine.begin() as connection:
                for at, totals in changed:
                    usage.store.write(connection, at, self._writer, totals)
                budgets = usage.store.budgets(connection)
                return budgets, usage.store.others(connection, day, self._writer) if budgets else {}

        budgets, others = await self.thread.run_within(seconds, work)
        for at, totals in changed:
            self.meter.wrote(at, totals)
        self.meter.read(day, budgets, others)

    async def share(self) -> None:
        """Send what is new to Redis, and take what all servers used from there. What is lost there is in the rows."""
        if self._shared is None:
            return
        day, failed = self.meter.day, False
        # A Redis that is silent costs one wait, not one for each owner: those that are left are tried the next time.
        unsent = list(self.meter.unsent().items())
        for start in range(0, len(unsent), _AT_ONCE):
            group = unsent[start : start + _AT_ONCE]
            failed = not all(await asyncio.gather(*(self._share(day, owner, own) for owner, own in group)))
            if failed:
                break
        if failed:
            self._metrics.usage_failures.labels("redis").inc()
            if self._heard:
                _log.warning("usage_not_shared", reason="Redis does not answer; budgets follow the database")
        self._heard = not failed

    async def _share(self, day: date, owner: Owner, own: Usage) -> bool:
        before, known, heard = self.meter.sent_before(owner), Usage(), True
        try:
            for field in ("calls", "prompt_tokens", "completion_tokens"):
                known = replace(known, **{field: await self._summed(day, owner, field, own, before)})
        except Exception:  # whatever the client of Redis raises: the rows are slower, and enough
            heard = False
        self.meter.sent(day, owner, own, known)
        return heard

    async def _summed(self, day: date, owner: Owner, field: str, own: Usage, before: Usage) -> int:
        assert self._shared is not None  # noqa: S101
        key = f"usage/{day}/{_digest(owner)}/{field}"
        more = getattr(own, field) - getattr(before, field)
        if more:
            return int(await self._shared.incr(key, _KEPT_SECONDS, more))
        return int(await self._shared.get(key))

    def _show(self) -> None:
        for owner, budget in self.meter.budgets.items():
            if owner.key_id:
                continue
            used, tenant = self.meter.used(owner), self._metrics.tenant(self._hashes.tenant(owner.tenant))
            limits = {"calls": (budget.calls_per_day, used.calls), "model_tokens": _tokens(budget, used)}
            for name, (limit, count) in limits.items():
                if limit is not None:
                    self._metrics.budget_used.labels(tenant, name).set(count / limit if limit else 1.0)

    async def close(self) -> None:
        """Write what is left. Waits a few seconds at most."""
        with suppress(RagError):
            await self._exchange(_FAREWELL_SECONDS)
        if self._shared is not None:
            from query_server.rate_limits.counting import close

            await close(self._shared)


def _digest(owner: Owner) -> str:
    """The owner's name in Redis; the same for all servers."""
    return hashlib.blake2b(f"{len(owner.tenant)}:{owner.tenant}{owner.key_id}".encode(), digest_size=16).hexdigest()


def _tokens(budget: Budget, used: Usage) -> tuple[int | None, int]:
    return budget.model_tokens_per_day, used.model_tokens
