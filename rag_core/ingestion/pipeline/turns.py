"""Turns at embedding, which uses a whole machine: fair between tenants, the smallest source first within a tenant.

A run that embeds gives its turn up after `TURN_SECONDS` when another one is due. Tenants share the time by the sum of
the weights of their sources that work or wait. Within a tenant the source with the least remaining work (divided by
its weight) is next; one that waited long is taken in between, so that it never stands still.

The rows are in PostgreSQL, and each is as alive as the session of its run: the turn of a killed run is free at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import Connection

from rag_core.content.sources import Scope
from rag_core.ingestion.pipeline import turn_store as store
from rag_core.ingestion.pipeline.turn_store import TurnRow

TURN_SECONDS = 3.0
AGED_SECONDS = 10.0
"""A source that has waited this many seconds, for each source of its tenant that works or waits, is next."""
_POLL_SECONDS = 0.2
"""Longest time that a free turn stays unnoticed. A wait has no limit of its own, since ageing ends it; a run that is
ended while it waits ends at once, because the signal interrupts its sleep."""


class Turn(Protocol):
    """The right to embed."""

    def taken(self) -> AbstractContextManager[None]:
        """Wait for the turn and hold it; between two batches call `pass_on`."""
        ...

    def pass_on(self) -> None:
        """Let others embed when the turn is over, and wait for the next one. Without an open transaction."""
        ...


class _NoTurn:
    """For embedding that does not wait: changes as they come, and single documents."""

    def taken(self) -> AbstractContextManager[None]:
        return nullcontext()

    def pass_on(self) -> None:
        """Nothing to do."""


NO_TURN: Turn = _NoTurn()


class SharedTurn:
    """Implements `Turn` for a run, with so many `slots` for all runs. Close it before the connection is released.

    `remaining` are the bytes of the source that the run has still to do; keep it up to date.
    """

    def __init__(self, connection: Connection, scope: Scope, *, slots: int) -> None:
        self._connection, self._scope, self._slots = connection, scope, slots
        self._id: int | None = None
        self._started = 0.0
        self._worked, self._bytes = 0.0, 0
        self.remaining = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        self._wait()
        try:
            yield
        except BaseException:
            # The error counts, not a second one here: a lost session ends the turn anyway.
            with suppress(Exception):
                self._connection.rollback()
                self._leave("idle")
            raise
        self._leave("idle")

    def pass_on(self) -> None:
        if time.monotonic() - self._started >= TURN_SECONDS:
            self._leave("waiting")
            self._wait()

    def add_bytes(self, done: int) -> None:
        """Count finished work, from which the rate is computed."""
        self._bytes += done

    def close(self) -> None:
        """Leave. Idempotent; the end of the session does the same."""
        number, self._id = self._id, None
        with suppress(Exception):
            self._connection.rollback()
            if number is not None:
                store.remove(self._connection, number)
                self._connection.commit()

    def _wait(self) -> None:
        while not self._try():
            time.sleep(_POLL_SECONDS)
        self._started = time.monotonic()

    def _try(self) -> bool:
        rows = store.lock(self._connection)
        if self._id is None or all(row.id != self._id for row in rows):
            self._id = store.add(self._connection, self._scope.key, self._scope.run_id, self._scope.source.weight)
            rows = store.rows(self._connection)
        mine = next(row for row in rows if row.id == self._id)
        if mine.state != "waiting":
            store.change(self._connection, mine.id, "waiting", self.remaining, self._rate)
            mine = replace(mine, state="waiting", remaining=self.remaining, seconds=0.0)
            self._join(mine, rows)
            rows = store.rows(self._connection)
        chosen = may_work(rows, mine.id, self._slots)
        if chosen:
            store.change(self._connection, mine.id, "working", self.remaining, self._rate)
        self._connection.commit()
        return chosen

    def _join(self, mine: TurnRow, rows: Sequence[TurnRow]) -> None:
        """Join the queue. What others used while this tenant had nothing to do is not owed to it."""
        others = [row for row in rows if row.id != mine.id]
        same = [row.used for row in others if row.tenant == mine.tenant]
        contending = [row.used for row in others if row.tenant != mine.tenant and row.state != "idle"]
        used = max([mine.used, *same, min(contending, default=0.0)])
        ids = [row.id for row in rows if row.tenant == mine.tenant]
        store.set_used(self._connection, ids, used)

    def _leave(self, state: str) -> None:
        if self._id is None:
            return
        seconds = time.monotonic() - self._started
        self._worked += seconds
        rows = store.lock(self._connection)
        kin = [row for row in rows if row.tenant == self._scope.source.tenant]
        weight = sum(row.weight for row in kin if row.state != "idle") or self._scope.source.weight
        store.set_used(
            self._connection, [row.id for row in kin], max((row.used for row in kin), default=0.0) + seconds / weight
        )
        store.change(self._connection, self._id, state, self.remaining, self._rate)
        self._connection.commit()

    @property
    def _rate(self) -> float | None:
        return self._bytes / self._worked if self._bytes and self._worked else None


def may_work(rows: Sequence[TurnRow], number: int, slots: int) -> bool:
    """Return whether a waiting run is among those whose turn it is."""
    free = slots - sum(row.state == "working" for row in rows)
    return number in [row.id for row in in_order(rows)[: max(0, free)]]


def in_order(rows: Sequence[TurnRow]) -> list[TurnRow]:
    """The waiting runs, next first."""
    contending = [row for row in rows if row.state != "idle"]
    many = {tenant: sum(row.tenant == tenant for row in contending) for tenant in {row.tenant for row in contending}}

    def place(row: TurnRow) -> tuple[float, bool, float, float]:
        aged = row.seconds > AGED_SECONDS * many[row.tenant]
        return row.used, not aged, -row.seconds if aged else row.remaining / row.weight, -row.seconds

    return sorted((row for row in contending if row.state == "waiting"), key=place)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits for embedding: sources before it, and seconds until its turn (`None`: not known)."""

    tenant: str
    source: str
    shard: int
    before: int
    seconds: float | None

    def __str__(self) -> str:
        if not self.before:
            return "waits for embedding"
        sources = "1 source" if self.before == 1 else f"{self.before} sources"
        about = "" if self.seconds is None else f", about {_rounded(self.seconds)}"
        return f"waits for embedding: {sources} before it{about}"


def waiting_runs(connection: Connection) -> list[Waiting]:
    """All runs that wait for their turn at embedding, next first."""
    rows = store.rows(connection)
    ahead = [row for row in rows if row.state == "working"]
    found = []
    for row in in_order(rows):
        times = [_seconds_before(row, other) for other in ahead]
        known = [seconds for seconds in times if seconds is not None]
        sources = {(other.tenant, other.source) for other in ahead} - {(row.tenant, row.source)}
        seconds = sum(known) if len(known) == len(times) else None
        found.append(Waiting(row.tenant, row.source, row.shard, len(sources), seconds))
        ahead.append(row)
    return found


def _rounded(seconds: float) -> str:
    return f"{round(seconds / 60)} min" if seconds >= 90 else f"{max(1, round(seconds))} s"


def _seconds_before(row: TurnRow, other: TurnRow) -> float | None:
    """Return how long `other`, which is ahead, keeps `row` waiting: its turn, or all its work when that is less."""
    finishes_first = other.tenant == row.tenant and other.remaining / other.weight <= row.remaining / row.weight
    if not finishes_first:
        return TURN_SECONDS
    return other.remaining / other.rate if other.rate else None
