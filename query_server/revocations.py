"""Subjects whose tokens were revoked, as PostgreSQL knows them, and how old such a reading may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from query_server.parts import LazyStore
from query_server.polling import Poller
from rag_core.errors import Reason, Unauthenticated, Unavailable
from rag_core.identity import VerifiedToken

REVOCATION_SECONDS = 0.5


class Age:
    """When something that ends access was read last. `max_age` in seconds; 0: the last reading stands for good."""

    def __init__(self, what: str, max_age: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._max_age = max_age
        self.now = clock
        self.read_at: float | None = None

    @property
    def known(self) -> bool:
        """Whether it was ever read."""
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
        self.poller = Poller("revocations", self._load, self._take, seconds=REVOCATION_SECONDS)

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
        # Imported here: SQLAlchemy takes as long to load as the rest of the server.
        from rag_core.store.access import revocations

        began = self.age.now()
        with self._store.get().engine.connect() as connection:
            return began, revocations(connection)

    def _take(self, found: tuple[float, Mapping[tuple[str, str], float]]) -> None:
        self.age.read_at, self._before = found
