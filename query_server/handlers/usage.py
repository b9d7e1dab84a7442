"""Usage and budgets: who may read them, and who may set a budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from query_server.auth.policies import PLATFORM_READ, allows
from query_server.auth.usage import UsageMeter
from query_server.handlers.admin.rules import check_text_field, tenant_of
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.errors import InvalidInput, NotFound, PermissionDenied, Reason
from rag_core.governance import access, usage
from rag_core.governance.access import Principal
from rag_core.governance.usage import Budget, Owner, Usage, key_of, renewal, require_budget

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.usage import Day

MAX_DAYS = 90


@dataclass(frozen=True, slots=True)
class OwnUsage:
    """Usage of a caller's tenant and of its key, by day, newest first."""

    tenant: str
    days: tuple[tuple[date, Usage], ...]
    key_days: tuple[tuple[date, Usage], ...]
    key_id: str
    documents: int
    budget: Budget
    key_budget: Budget
    renews_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """Usage and budgets of one tenant or of all. `today` is what those with a budget have used of it."""

    days: tuple[Day, ...]
    budgets: dict[Owner, Budget]
    today: dict[Owner, Usage]
    documents: dict[str, int]
    renews_at: datetime


class UsageHandler:
    """Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore, meter: UsageMeter) -> None:
        self._store = store
        self._meter = meter

    async def own(self, principal: Principal, days: int | None) -> OwnUsage:
        """Return the usage of the caller's tenant and of its key; today's as this server knows it."""
        now, key_id = datetime.now(UTC), key_of(principal)
        since = _since(days, now)

        def read(connection: Connection) -> tuple[list[Day], dict[Owner, Budget], int]:
            # As many rows as keys and days: those of one tenant.
            found = usage.store.days(connection, since=since, tenant=principal.tenant, limit=1_000_000)
            stored = usage.store.documents(connection, tenant=principal.tenant)
            return found, usage.store.budgets(connection), stored.get(principal.tenant, 0)

        found, budgets, documents = await transact(self._store, read)
        ours, key = Owner(principal.tenant), Owner(principal.tenant, key_id)
        tenant_today, key_today = self._meter.used(principal)
        mine = (row for row in found if key_id and row.owner == key)
        return OwnUsage(
            principal.tenant,
            _by_day(found, now.date(), tenant_today),
            _by_day(mine, now.date(), key_today),
            key_id,
            documents,
            budgets.get(ours, Budget()),
            budgets.get(key, Budget()) if key_id else Budget(),
            renewal(now),
        )

    async def report(
        self, principal: Principal, tenant: str, days: int | None, page: ListPage, *, everyone: bool
    ) -> Report:
        """Usage and, on the first page, budgets of a tenant, or of all. Raises `PermissionDenied` (`SCOPE_MISSING`)."""
        if everyone and tenant:
            raise InvalidInput(Reason.FIELD_INVALID, "tenant: must be empty with all_tenants")
        if everyone and not allows(principal.scopes, PLATFORM_READ):
            raise PermissionDenied(Reason.SCOPE_MISSING, f"all_tenants: needs {PLATFORM_READ}")
        whose = None if everyone else tenant_of(principal, tenant)
        now = datetime.now(UTC)
        since = _since(days, now)

        def read(connection: Connection) -> Report:
            after = None
            if page.after is not None:
                day, *owner = page.after
                after = date.fromisoformat(day), Owner(*owner)
            found = tuple(usage.store.days(connection, since=since, tenant=whose, limit=page.rows, after=after))
            if after is not None:
                return Report(found, {}, {}, {}, renewal(now))
            budgets = {
                owner: budget
                for owner, budget in usage.store.budgets(connection).items()
                if whose in (None, owner.tenant)
            }
            # Of no writer: everything that is written.
            today = usage.store.others(connection, now.date(), writer="")
            stored = usage.store.documents(connection, tenant=whose)
            return Report(found, budgets, today, stored, renewal(now))

        return await transact(self._store, read)

    async def set_budget(self, principal: Principal, owner: Owner, budget: Budget, why: str) -> Budget:
        """Replace a budget; returns the one before. Raises `InvalidInput`, `NotFound` (`API_KEY_NOT_FOUND`)."""
        if not owner.tenant:
            raise InvalidInput(Reason.FIELD_INVALID, "tenant: must be given")
        check_text_field("reason", why)
        require_budget(owner, budget)

        def write(connection: Connection) -> Budget:
            if owner.key_id and access.get_key(connection, owner.key_id).tenant != owner.tenant:
                raise NotFound(Reason.API_KEY_NOT_FOUND, f"key: no key {owner.key_id!r} of this tenant")
            return usage.store.set_budget(connection, owner, budget, actor=principal.actor, why=why)

        return await transact(self._store, write)


def _since(days: int | None, now: datetime) -> date:
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise InvalidInput(Reason.FIELD_INVALID, f"days: must be 1 to {MAX_DAYS}")
    return now.date() - timedelta(days=(days or 1) - 1)


def _by_day(rows: Iterable[Day], today: date, known: Usage) -> tuple[tuple[date, Usage], ...]:
    """The sum of each day; of today the larger of the rows and what this server knows."""
    found: dict[date, Usage] = {}
    for row in rows:
        found[row.at] = found.get(row.at, Usage()) + row.usage
    if known != Usage():
        found[today] = _larger(found.get(today, Usage()), known)
    return tuple(sorted(found.items(), reverse=True))


def _larger(one: Usage, other: Usage) -> Usage:
    return replace(
        one,
        calls=max(one.calls, other.calls),
        refused=max(one.refused, other.refused),
        prompt_tokens=max(one.prompt_tokens, other.prompt_tokens),
        completion_tokens=max(one.completion_tokens, other.completion_tokens),
    )
