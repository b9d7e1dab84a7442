"""The part of the database that a server keeps in memory, so that no call waits for it, and how it stays up to date."""

from __future__ import annotations

import asyncio
from typing import Any

from query_server.auth.directories import Directories
from query_server.auth.revocations import PendingRevocationCache, Revocations
from query_server.auth.tenants import Tenants
from query_server.handlers.query.curations import Curations, SourceFreshness
from query_server.handlers.query.models import QueryModels
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.gauges import DirectoryGauges, Freshness, GenerationGauges, SourceGauges
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import Poller, RevocationListener
from rag_core.settings import Settings


class Caches:
    """Tenants, permissions and preferences. Each is polled; those that may take something away are also read when the
    database notifies."""

    def __init__(self, settings: Settings, store: LazyStore, metrics: Metrics, tenants: Tenants, models: QueryModels):
        age = settings.acl_max_age_seconds
        self.tenants = tenants
        self.revocations = Revocations(store, max_age=age)
        self.directories = Directories(store, max_age=age)
        self.pending = PendingRevocationCache(store, metrics, max_age=age)
        self.curations = Curations(store, models, similarity=settings.curation_similarity)
        self.source_freshness = SourceFreshness(store)
        self.freshness = Freshness(store, metrics, seconds=settings.freshness_seconds)
        self._access: dict[str, Poller[Any]] = {
            "permissions": self.pending.poller,
            "revocations": self.revocations.poller,
            "pushed deletions": self.pending.deletions,
            "tenants": self.tenants.poller,
            "directories": self.directories.poller,
        }
        self.pollers = {
            **self._access,
            "curations": self.curations.poller,
            "source freshness": self.source_freshness.poller,
            "freshness": self.freshness.poller,
            "source gauges": SourceGauges(store, metrics).poller,
            "generation gauges": GenerationGauges(store, metrics).poller,
            "directory gauges": DirectoryGauges(store, metrics).poller,
        }
        self.listener = RevocationListener(
            store, settings.database_connect_timeout_seconds, *self._access.values(), self.curations.poller
        )

    async def read_access(self) -> None:
        """Read what decides on access, before the first call."""
        await asyncio.gather(*(poller.refresh() for poller in self._access.values()))

    @property
    def know_access(self) -> bool:
        """True once revoked tokens, permissions, closed tenants and directories were read since the start."""
        ages = (self.revocations.age, self.tenants.age, self.directories.age)
        return self.pending.known and all(age.known for age in ages)

    @property
    def threads(self) -> list[BlockingPool]:
        """The threads that read the database."""
        return [poller.thread for poller in self.pollers.values()]
