"""Tenants as a server knows them: which are suspended or erased, and the egress policy of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.auth.revocations import Age
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.polling import Poller
from rag_core.governance import tenants
from rag_core.http_client import EgressPolicy
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.governance.tenants import Directory

READ_SECONDS = 0.5


class Tenants:
    """The tenants as they were at most a second ago; as they last were while the database is away."""

    def __init__(self, store: LazyStore, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._directory: Directory | None = None
        self.age = Age("tenants", settings.acl_max_age_seconds)
        self.poller = Poller(
            "tenants", self._load, self._take, seconds=READ_SECONDS, announced_seconds=self.age.interval
        )

    def require_active(self, tenant: str, issued: float | None = None) -> None:
        """Let nobody of a suspended or erased tenant in, nor a token `issued` to one whose name another has now.

        Raises as `Directory.require_active`, and `Unavailable` as `Age.require_recent`.
        """
        self.age.require_recent()
        if self._directory is not None:
            self._directory.require_active(tenant, issued)

    def policy(self, tenant: str) -> EgressPolicy:
        """Return where the text of a tenant may go: nowhere before policies were read."""
        return EgressPolicy(frozenset()) if self._directory is None else self._directory.policy(tenant)

    def _load(self) -> tuple[float, Directory]:
        began = self.age.now()
        with self._store.get().engine.connect() as connection:
            return began, tenants.store.directory(connection, self._settings)

    def _take(self, found: tuple[float, Directory]) -> None:
        self.age.read_at, self._directory = found
