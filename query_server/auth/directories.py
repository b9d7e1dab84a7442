"""Callers resolved by the directories of their tenant: groups as they are now, not as an index or a token has them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from query_server.auth.revocations import Age
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import LOOKUPS, LazyStore
from query_server.runtime.polling import Poller
from rag_core.errors import Reason
from rag_core.governance import directories
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.directories import Resolved

READ_SECONDS = 0.5
_LOOKUP_SECONDS = 5.0
_KEPT = 10_000
_KEY = "key:"


class Directories:
    """The contents of directories, at most a second old. For one event loop.

    A caller is read again when anything in a directory of the tenant changed. While the database is away the last
    reading stands: nothing can be committed there meanwhile. A tenant without a directory costs one look at a mapping.
    """

    def __init__(self, store: LazyStore, *, max_age: float) -> None:
        self._store = store
        self._revisions: Mapping[str, str] = {}
        self._callers: OrderedDict[Principal, tuple[str, Resolved]] = OrderedDict()
        self.age = Age("directories", max_age)
        self.poller = Poller(
            "directories", self._load, self._take, seconds=READ_SECONDS, announced_seconds=self.age.interval
        )
        self.threads = BlockingPool(LOOKUPS, name="callers", reason=Reason.DATABASE_UNAVAILABLE, what="the database")

    async def resolve(self, principal: Principal) -> Principal:
        """Return the caller with the groups and entries that count.

        Raises `PermissionDenied` (`PERSON_DISABLED`, `DIRECTORY_GROUPS_EXCEEDED`), and `Unavailable` as
        `Age.require_recent` and when the database cannot be read.
        """
        self.age.require_recent()
        revision = self._revisions.get(principal.tenant)
        if revision is None:
            return principal
        known = self._callers.get(principal)
        if known is None or known[0] != revision:
            known = revision, await self.threads.run_within(_LOOKUP_SECONDS, lambda: self._read(principal))
            self._callers[principal] = known
            self._callers.move_to_end(principal)
            if len(self._callers) > _KEPT:
                self._callers.popitem(last=False)
        return known[1].apply(principal)

    def _read(self, principal: Principal) -> Resolved:
        with self._store.get().engine.connect() as connection:
            return resolved(connection, principal)

    def _load(self) -> tuple[float, Mapping[str, str]]:
        began = self.age.now()
        with self._store.get().engine.connect() as connection:
            return began, directories.revisions(connection)

    def _take(self, found: tuple[float, Mapping[str, str]]) -> None:
        self.age.read_at, self._revisions = found


def resolved(connection: Connection, principal: Principal) -> Resolved:
    """Read what directories say of a caller. The groups of an API key were given by an administrator."""
    trusted = principal.subject.startswith(_KEY)
    return directories.resolve(connection, principal.tenant, principal.subject, principal.groups, trusted=trusted)
