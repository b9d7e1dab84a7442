"""Lanes of the inbox: a fair order of pending changes over tenants and their sources.

A lane is one source of one tenant. Every batch takes from tenants in turn, and from each tenant's sources in turn.
Large changes, and those that proved slow, are left to a second reader, so that they do not delay others.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

Lane = tuple[str, str]
"""Tenant and source."""


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A change that has not been applied yet."""

    seq: int
    tenant: str
    source: str
    locator: str
    doc_id: uuid.UUID
    operation: str
    source_version: int
    content: bytes | None
    media_type: str | None
    title: str | None
    acl: tuple[str, ...] | None
    metadata: Mapping[str, str]
    event_at: datetime
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The limits of one batch and the changes it may contain.

    `large`: only large ones (more than `large_bytes`, or slow), only the others, or `None` for both.
    """

    large: bool | None
    large_bytes: int
    limit: int
    max_bytes: int


def lanes(connection: Connection) -> list[Lane]:
    """The lanes with pending changes, by name."""
    return [(row.tenant, row.source) for row in connection.execute(_LANES)]


def choose(connection: Connection, wanted: Sequence[Lane], share: Share) -> list[int]:
    """Choose the next changes of these lanes, tenant by tenant in their order. At least one if any is eligible.

    A change waits for every earlier change of its document, also when that is left to the other reader.
    """
    rows = connection.execute(
        _HEADS,
        {
            "tenants": [tenant for tenant, _ in wanted],
            "sources": [source for _, source in wanted],
            "limit": share.limit,
            "large": share.large_bytes,
        },
    ).all()
    queues: dict[str, dict[str, list[tuple[int, int]]]] = {}
    passed: set[uuid.UUID] = set()
    for row in rows:
        if row.doc_id not in passed and share.large in (None, row.large):
            queues.setdefault(row.tenant, {}).setdefault(row.source, []).append((row.seq, row.size))
        else:
            passed.add(row.doc_id)
    chosen: list[int] = []
    size = 0
    for seq, added in _round_robin([list(_round_robin(list(sources.values()))) for sources in queues.values()]):
        if len(chosen) == share.limit:
            break
        if not chosen or size + added <= share.max_bytes:
            chosen.append(seq)
            size += added
    return chosen


def load(connection: Connection, seqs: Sequence[int]) -> list[PendingChange]:
    """Load changes, oldest first, without those applied meanwhile."""
    rows = connection.execute(_LOAD, {"seqs": list(seqs)}).all() if seqs else []
    return [PendingChange(**{**row._mapping, "acl": None if row.acl is None else tuple(row.acl)}) for row in rows]


def mark_slow(connection: Connection, seqs: Sequence[int]) -> None:
    """Leave changes to the reader of large changes."""
    connection.execute(text("UPDATE rag.inbox SET slow = true WHERE seq = ANY(:seqs)"), {"seqs": list(seqs)})


def mark_lane_slow(connection: Connection, lane: Lane) -> None:
    """Leave the pending changes of a lane to the reader of large changes."""
    connection.execute(_LANE_SLOW, {"tenant": lane[0], "source": lane[1]})


def _round_robin(queues: Sequence[Sequence[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    """The first of each queue, then the second of each, and so on."""
    for place in range(max((len(queue) for queue in queues), default=0)):
        yield from (queue[place] for queue in queues if place < len(queue))


# Each step jumps to the next pair in the index, past all changes in between.
_LANES = text("""
WITH RECURSIVE lanes AS (
    (SELECT tenant, source FROM rag.inbox WHERE applied_at IS NULL ORDER BY tenant, source LIMIT 1)
    UNION ALL
    SELECT n.tenant, n.source FROM lanes l CROSS JOIN LATERAL (
        SELECT tenant, source FROM rag.inbox
        WHERE applied_at IS NULL AND (tenant, source) > (l.tenant, l.source) ORDER BY tenant, source LIMIT 1
    ) n
)
SELECT tenant, source FROM lanes LIMIT 10000
""")
_HEADS = text("""
SELECT l.tenant, l.source, w.seq, w.doc_id, w.size, w.large
FROM unnest(CAST(:tenants AS text[]), CAST(:sources AS text[])) WITH ORDINALITY AS l (tenant, source, place)
CROSS JOIN LATERAL (
    SELECT seq, doc_id, coalesce(octet_length(content), 0) AS size,
           slow OR coalesce(octet_length(content), 0) > :large AS large
    FROM rag.inbox i WHERE applied_at IS NULL AND i.tenant = l.tenant AND i.source = l.source
    ORDER BY seq LIMIT :limit
) w
ORDER BY l.place, w.seq
""")
_LOAD = text("""
SELECT seq, tenant, source, locator, doc_id, operation, source_version, content, media_type, title, acl, metadata,
       event_at, traceparent
FROM rag.inbox WHERE seq = ANY(:seqs) AND applied_at IS NULL ORDER BY seq
""")
_LANE_SLOW = text("""
UPDATE rag.inbox SET slow = true WHERE applied_at IS NULL AND NOT slow AND tenant = :tenant AND source = :source
""")
