"""Revoked tokens, and revoked permissions that the index has not applied yet: every search leaves those out."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import ANNOUNCED_SECONDS, Poller
from rag_core.content import streams
from rag_core.errors import Reason, Unauthenticated, Unavailable
from rag_core.governance import access
from rag_core.governance.access import VerifiedToken, admits
from rag_core.retrieval.index import (
    NO_PENDING_REVOCATIONS,
    PendingRevocations,
)

if TYPE_CHECKING:
    from rag_core.governance.access import PendingRevocation


# --------------------------------------------------------------------------------------------------------------------
# Subjects whose tokens were revoked, as read from PostgreSQL, and the maximum age of such a reading.


REVOCATION_SECONDS = 0.5


class Age:
    """Age of the last reading of revocations. `max_age` in seconds; 0: a reading never expires."""

    def __init__(self, what: str, max_age: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._max_age = max_age
        self.now = clock
        self.read_at: float | None = None

    @property
    def interval(self) -> float:
        """Seconds between two readings while changes are announced, so that a reading is never too old."""
        return min(ANNOUNCED_SECONDS, self._max_age / 4) if self._max_age else ANNOUNCED_SECONDS

    @property
    def known(self) -> bool:
        """True once it was read."""
        return self.read_at is not None

    def require_recent(self) -> None:
        """Raise `Unavailable`: `REVOCATIONS_UNKNOWN` if it was never read, `DATABASE_UNAVAILABLE` after `max_age`."""
        if self.read_at is None:
            raise Unavailable(
                Reason.REVOCATIONS_UNKNOWN, f"{self._what} were not read since this server started; retry later"
            )
        if self._max_age and self.now() - self.read_at > self._max_age:
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, f"{self._what} cannot be read; retry later")


class Revocations:
    """The revoked subjects, as they were at most a second ago; as they last were while the database is away."""

    def __init__(self, store: LazyStore, *, max_age: float) -> None:
        self._store = store
        self._before: Mapping[tuple[str, str], float] = {}
        self.age = Age("revoked tokens", max_age)
        self.poller = Poller(
            "revocations", self._load, self._take, seconds=REVOCATION_SECONDS, announced_seconds=self.age.interval
        )

    def check(self, token: VerifiedToken) -> None:
        """Refuse a token that was signed out, and one issued before its subject's tokens were revoked.

        Raises `Unauthenticated` (`TOKEN_REVOKED`), and `Unavailable` as `Age.require_recent`.
        """
        self.age.require_recent()
        for name in (token.principal.subject, token.session):
            before = self._before.get((token.principal.tenant, name))
            if before is not None and token.issued < before:
                raise Unauthenticated(Reason.TOKEN_REVOKED, "token: revoked; get a new one")

    def _load(self) -> tuple[float, Mapping[tuple[str, str], float]]:
        began = self.age.now()
        with self._store.get().engine.connect() as connection:
            return began, access.revocations(connection)

    def _take(self, found: tuple[float, Mapping[tuple[str, str], float]]) -> None:
        self.age.read_at, self._before = found


# --------------------------------------------------------------------------------------------------------------------
# Pending revocations: every search leaves out what its caller may no longer see but the index still holds.


READ_SECONDS = 0.25
MAX_SHARE = 0.2
"""Share of time that the poll may keep the database busy."""
MAX_NAMED = 5000
"""Documents of one source that are left out one by one; with more the whole source is, until the index caught up."""


class PendingRevocationCache:
    """The last reading. For one event loop.

    Nothing is answered before there was one. While the database is away the last one stands: nothing can be committed
    there meanwhile. For an installation where it may be away from this server alone, `max_age` (seconds, 0: never)
    ends that.

    Pushed deletions that no worker has applied yet are read apart, because pushes can lock what is read for them. Once
    applied, one counts until a reading of the revocations that began later has it.
    """

    def __init__(self, store: LazyStore, metrics: Metrics, *, max_age: float) -> None:
        self._store = store
        self._gauge = metrics.pending_revocations
        self.age = Age("permissions", max_age)
        self._by_tenant: Mapping[str, Sequence[PendingRevocation]] = {}
        self._pushed: frozenset[tuple[str, uuid.UUID]] | None = None
        self._applied: dict[tuple[str, uuid.UUID], float] = {}
        self._deleted: Mapping[str, Set[uuid.UUID]] = {}
        """Both by tenant, so that no search walks through another tenant's."""
        announced: dict[str, Any] = {"announced_seconds": self.age.interval, "is_settled": self._is_settled}
        limits = {"seconds": READ_SECONDS, "share": MAX_SHARE} | announced
        self.poller = Poller("permissions", self._read, self._take, **limits)
        self.deletions = Poller("pushed deletions", self._read_deletions, self._take_deletions, **limits)

    @property
    def known(self) -> bool:
        """True once both were read."""
        return self.age.known and self._pushed is not None

    def _is_settled(self) -> bool:
        """Return whether nothing is pending: only what comes is announced, not that the index has applied it."""
        return not self._by_tenant and not self._deleted

    def of_caller(self, tenant: str, acl: Sequence[str]) -> PendingRevocations:
        """Revocations of a caller. Raises `Unavailable` (`REVOCATIONS_UNKNOWN`, `DATABASE_UNAVAILABLE`), see `Age`."""
        self.age.require_recent()
        if not self.known:
            raise Unavailable(Reason.REVOCATIONS_UNKNOWN, "pushed deletions were not read since this server started")
        lost = [one for one in self._by_tenant.get(tenant, ()) if not admits(one.acl, acl)]
        deleted = self._deleted.get(tenant, frozenset())
        if not lost and not deleted:
            return NO_PENDING_REVOCATIONS
        documents = deleted | {one.doc_id for one in lost if one.doc_id is not None}
        return PendingRevocations(tuple(documents), tuple({one.source for one in lost if one.doc_id is None}))

    def _read(self) -> tuple[float, Mapping[str, Sequence[PendingRevocation]]]:
        began, by_tenant = self.age.now(), defaultdict(list)
        with self._store.get().engine.connect() as connection:
            for one in access.pending_revocations(connection, most=MAX_NAMED):
                by_tenant[one.tenant].append(one)
        return began, by_tenant

    def _take(self, found: tuple[float, Mapping[str, Sequence[PendingRevocation]]]) -> None:
        began, self._by_tenant = found
        self.age.read_at = began
        self._applied = {one: since for one, since in self._applied.items() if since >= began}
        self._combine()

    def _read_deletions(self) -> frozenset[tuple[str, uuid.UUID]]:
        with self._store.get().engine.connect() as connection:
            return frozenset(streams.inbox_store.pending_deletions(connection, most=MAX_NAMED))

    def _take_deletions(self, found: frozenset[tuple[str, uuid.UUID]]) -> None:
        self._applied |= dict.fromkeys((self._pushed or frozenset()) - found, self.age.now())
        self._pushed = found
        self._combine()

    def _combine(self) -> None:
        deleted: dict[str, set[uuid.UUID]] = defaultdict(set)
        for tenant, doc_id in (*(self._pushed or ()), *self._applied):
            deleted[tenant].add(doc_id)
        self._deleted = deleted
        self._gauge.set(sum(map(len, (*self._by_tenant.values(), *deleted.values()))))
