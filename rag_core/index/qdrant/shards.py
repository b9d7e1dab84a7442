"""Which shards of a collection hold which tenant: large ones have their own, the others share some.

The collection's metadata say which tenants were large when it was made, so that readers and writers agree whatever the
setting says today. Qdrant's own fallback (`ShardKeyWithFallback`) is not used: while no copy of a large tenant's shard
is alive it answers from the shared ones, where that tenant has nothing, and writes there. Addressed by its key, such a
shard is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rag_core.index import DocumentUpdate

SHARED: Final = "shared"
_LARGE = "large_tenants"


@dataclass(frozen=True, slots=True)
class Shards:
    """Of one collection. `large` is `None` when Qdrant spreads all points over all shards."""

    large: tuple[str, ...] | None = None

    @classmethod
    def described(cls, stored: Mapping[str, Any]) -> Shards:
        """As `describe` wrote it."""
        large = stored.get(_LARGE)
        return cls(tuple(map(str, large))) if isinstance(large, list) else cls()

    def describe(self) -> dict[str, list[str]]:
        """For the collection's metadata."""
        return {} if self.large is None else {_LARGE: list(self.large)}

    @property
    def keys(self) -> list[int | str] | None:
        """Every shard key; `None` where there are none."""
        return None if self.large is None else [SHARED, *map(_key, self.large)]

    def of(self, tenant: str | None) -> str | None:
        """The key of a tenant's shards; `None` means every shard."""
        if self.large is None or tenant is None:
            return None
        return _key(tenant) if tenant in self.large else SHARED

    def grouped(self, updates: Sequence[DocumentUpdate]) -> dict[str | None, list[DocumentUpdate]]:
        """Updates with points by the key of their shards."""
        found: dict[str | None, list[DocumentUpdate]] = {}
        for update in updates:
            if update.points:
                found.setdefault(self.of(update.points[0].payload.tenant), []).append(update)
        return found


def _key(tenant: str) -> str:
    return f"tenant:{tenant}"
