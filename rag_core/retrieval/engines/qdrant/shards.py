"""The assignment of tenants to shards of a collection: large tenants have their own, others share some.

The collection's metadata stores which tenants were large at its creation, so that readers and writers agree when the
setting changes. Qdrant's own fallback (`ShardKeyWithFallback`) is not used: while no replica of a large tenant's shard
is alive, it reads from and writes to the shared shards, where that tenant has no points. Addressed by its key, an
unavailable shard is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rag_core.retrieval.index import DocumentUpdate

SHARED: Final = "shared"
_LARGE = "large_tenants"


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards of one collection. `large` is `None` when Qdrant distributes all points over all shards."""

    large: tuple[str, ...] | None = None

    @classmethod
    def described(cls, stored: Mapping[str, Any]) -> Shards:
        """Read the output of `describe`."""
        large = stored.get(_LARGE)
        return cls(tuple(map(str, large))) if isinstance(large, list) else cls()

    def describe(self) -> dict[str, list[str]]:
        """The assignment as JSON, for the collection's metadata."""
        return {} if self.large is None else {_LARGE: list(self.large)}

    @property
    def keys(self) -> list[int | str] | None:
        """All shard keys; `None` when there are none."""
        return None if self.large is None else [SHARED, *map(_key, self.large)]

    def of(self, tenant: str | None) -> str | None:
        """The key of a tenant's shards; `None` means all shards."""
        if self.large is None or tenant is None:
            return None
        return _key(tenant) if tenant in self.large else SHARED

    def grouped(self, updates: Sequence[DocumentUpdate]) -> dict[str | None, list[DocumentUpdate]]:
        """Group updates with points by the key of their shards."""
        found: dict[str | None, list[DocumentUpdate]] = {}
        for update in updates:
            if update.points:
                found.setdefault(self.of(update.points[0].payload.tenant), []).append(update)
        return found


def _key(tenant: str) -> str:
    return f"tenant:{tenant}"
