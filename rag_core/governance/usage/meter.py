"""The usage meter of one process: its own counts and those of other servers; budgets are checked in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from rag_core.errors import QuotaExceeded
from rag_core.governance.usage.base import Budget, Owner, Usage, out_of_budget

Clock = Callable[[], datetime]


@dataclass(slots=True)
class _Day:
    """One day: what this process counted, what of it each shared counter has, and what those say in all."""

    at: date
    own: dict[Owner, Usage] = field(default_factory=dict)
    tenants: dict[str, Usage] = field(default_factory=dict)
    """The sum of `own` by tenant."""
    written: dict[Owner, Usage] = field(default_factory=dict)
    others: dict[Owner, Usage] = field(default_factory=dict)
    """Usage counted by other processes, as the database has it."""
    sent: dict[Owner, Usage] = field(default_factory=dict)
    shared: dict[Owner, Usage] = field(default_factory=dict)
    """Usage counted by all processes, as the faster counter has it; with `sent` of this one in it."""


class Meter:
    """Counts for one event loop. `own` has a row for each API key, and with an empty key id for the tokens of a tenant;
    a budget of the tenant is about all of them together."""

    def __init__(self, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._today = _Day(clock().date())
        self._ended: list[_Day] = []
        self.budgets: Mapping[Owner, Budget] = {}

    # --- what a call does --------------------------------------------------------------------------------------------

    def admit(self, tenant: str, key_id: str) -> None:
        """Count a call. Raises `QuotaExceeded` when a budget of calls is used up, and counts a refusal then."""
        problem = self._used_up(tenant, key_id, "calls")
        if problem is not None:
            self._add(tenant, key_id, Usage(refused=1))
            raise problem
        self._add(tenant, key_id, Usage(calls=1))

    def add_calls(self, tenant: str, key_id: str, calls: int) -> None:
        """Count further calls, or take back those that were refused or failed without the caller's doing."""
        self._add(tenant, key_id, Usage(calls=calls))

    def refuse(self, tenant: str, key_id: str) -> None:
        """An admitted call was refused by another budget after all."""
        self._add(tenant, key_id, Usage(calls=-1, refused=1))

    def add_tokens(self, tenant: str, key_id: str, *, prompt: int, completion: int) -> None:
        """Count what a model read and wrote."""
        self._add(tenant, key_id, Usage(prompt_tokens=prompt, completion_tokens=completion))

    def tokens_used_up(self, tenant: str, key_id: str) -> QuotaExceeded | None:
        """The error of a budget of model tokens that is used up, if one is."""
        return self._used_up(tenant, key_id, "model_tokens")

    def used(self, owner: Owner) -> Usage:
        """Return today's known usage of every process together."""
        today = self._day()
        own = _own(today, owner)
        by_rows = own + today.others.get(owner, Usage())
        shared, sent = today.shared.get(owner), today.sent.get(owner, Usage())
        if shared is None:
            return by_rows
        # The faster counter may have been emptied, and the rows are older: the larger of the two is nearer.
        fast = Usage(
            shared.calls + own.calls - sent.calls,
            shared.refused,
            shared.prompt_tokens + own.prompt_tokens - sent.prompt_tokens,
            shared.completion_tokens + own.completion_tokens - sent.completion_tokens,
        )
        return Usage(
            max(by_rows.calls, fast.calls),
            by_rows.refused,
            max(by_rows.prompt_tokens, fast.prompt_tokens),
            max(by_rows.completion_tokens, fast.completion_tokens),
        )

    # --- exchange with the database ----------------------------------------------------------------------------------

    def unwritten(self) -> list[tuple[date, dict[Owner, Usage]]]:
        """The totals of this process that the rows do not have yet, by day."""
        today = self._day()
        return [
            (day.at, changed)
            for day in (*self._ended, today)
            if (changed := {owner: used for owner, used in day.own.items() if day.written.get(owner) != used})
        ]

    def forget_old(self) -> int:
        """Give up days before yesterday; returns how many. Their rows are summed up after that (`store.maintain`), and
        totals that came later would count twice what is in the sum."""
        oldest = self._day().at - timedelta(days=1)
        kept = [day for day in self._ended if day.at >= oldest]
        given_up, self._ended = len(self._ended) - len(kept), kept
        return given_up

    def wrote(self, at: date, rows: Mapping[Owner, Usage]) -> None:
        """These totals are in the rows now."""
        for day in (*self._ended, self._today):
            if day.at == at:
                day.written.update(rows)
        self._ended = [day for day in self._ended if day.own != day.written]

    def read(self, at: date, budgets: Mapping[Owner, Budget], others: Mapping[Owner, Usage]) -> None:
        """The budgets, and what other processes used of them on that day."""
        self.budgets = budgets
        if self._day().at == at:
            self._today.others = dict(others)

    # --- exchange with the faster counter ----------------------------------------------------------------------------

    def unsent(self) -> dict[Owner, Usage]:
        """Return the usage since the last `sent` of those who have a budget."""
        today = self._day()
        found: dict[Owner, Usage] = {}
        for owner in self.budgets:
            own = _own(today, owner)
            before = today.sent.get(owner, Usage())
            if replace(own, refused=0) != replace(before, refused=0):
                found[owner] = own
        return found

    def sent(self, at: date, owner: Owner, own: Usage, shared: Usage) -> None:
        """The faster counter has `own` of this process, and says `shared` in all."""
        if self._day().at == at:
            self._today.sent[owner], self._today.shared[owner] = own, shared

    def sent_before(self, owner: Owner) -> Usage:
        """Return what the faster counter has of this process."""
        return self._day().sent.get(owner, Usage())

    @property
    def day(self) -> date:
        """Today (UTC)."""
        return self._day().at

    def _used_up(self, tenant: str, key_id: str, what: str) -> QuotaExceeded | None:
        for owner in (Owner(tenant), *([Owner(tenant, key_id)] if key_id else [])):
            budget = self.budgets.get(owner)
            if budget is None:
                continue
            limit = budget.calls_per_day if what == "calls" else budget.model_tokens_per_day
            if limit is None:
                continue
            used = self.used(owner)
            count = used.calls if what == "calls" else used.model_tokens
            if count >= limit:
                return out_of_budget(what, limit, count, owner, self._clock())
        return None

    def _add(self, tenant: str, key_id: str, used: Usage) -> None:
        today, owner = self._day(), Owner(tenant, key_id)
        today.own[owner] = today.own.get(owner, Usage()) + used
        today.tenants[tenant] = today.tenants.get(tenant, Usage()) + used

    def _day(self) -> _Day:
        at = self._clock().date()
        if at != self._today.at:
            if self._today.own != self._today.written:
                self._ended.append(self._today)
            self._today = _Day(at)
        return self._today


def _own(day: _Day, owner: Owner) -> Usage:
    return (day.own.get(owner) if owner.key_id else day.tenants.get(owner.tenant)) or Usage()
