"""A new installation: whether it has a searchable source of its own, and how far the first ones are."""

from __future__ import annotations

from collections.abc import Iterable

from console.presenters.conditions import UNDER_WAY
from ragproto.admin.v1 import admin_pb2

EXAMPLES = frozenset({"project", "packages", "licences"})
"""Sources that `rag up` makes of documentation and licences that are on the machine already."""


def is_new(sources: Iterable[admin_pb2.SourceStatus]) -> bool:
    """Return whether no source of the owner has anything to be found yet."""
    return not any(item.name not in EXAMPLES and item.searchable for item in sources)


def under_way(sources: Iterable[admin_pb2.SourceStatus]) -> list[tuple[admin_pb2.SourceStatus, float | None]]:
    """Sources that are being read, with the share that is done where that is known."""
    return [(item, _share(item)) for item in sources
            if item.condition.state in {*UNDER_WAY, admin_pb2.SOURCE_STATE_NEW}]  # fmt: skip


def _share(source: admin_pb2.SourceStatus) -> float | None:
    if source.condition.state == admin_pb2.SOURCE_STATE_EMBEDDING:
        return source.condition.percent / 100
    return source.searchable / source.documents if source.documents else None
