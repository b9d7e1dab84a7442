"""Rows of index generations, and the marks of the document version that each one has indexed.

`building -> ready -> active -> retired`. A formerly active generation is `ready` until its grace period ends: it still
receives writes, so that a rollback loses nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, cast, delete, func, null, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from rag_core.content.sources import Shard
from rag_core.database.tables.content import generation_documents, generations
from rag_core.errors import NotFound, Reason
from rag_core.governance.access import store as visibility
from rag_core.governance.webhooks import EventType, WebhookEvent
from rag_core.governance.webhooks import outbox_store as outbox
from rag_core.retrieval.index import GenerationSpec, check_spec

RECEIVES_WRITES = ("building", "ready", "active")
"""States in which a generation receives changes."""
COMPLETE = ("ready", "active")
"""States in which only recent changes may be pending."""
NOW = func.now()
"""A value for `change`: the clock of the database."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A row. `settings` reproduce its embedder and chunker (`rag_core.ingestion.generations.generation_config`).

    `evaluation` is the gate's last result; `actor` and `reason` say who created it and why. A generation is
    `not_reproducible` when its model is gone: it still receives deletions and permissions, but no new text.
    """

    name: str
    state: str
    embedder: str
    dimensions: int
    chunker: str
    details: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] | None = None
    actor: str = ""
    reason: str = ""
    created_at: datetime | None = None
    ready_at: datetime | None = None
    evaluation_wanted_at: datetime | None = None
    promoted_at: datetime | None = None
    promoted_from: str | None = None
    keep_until: datetime | None = None
    retired_at: datetime | None = None

    @property
    def spec(self) -> GenerationSpec:
        return GenerationSpec(self.name, self.dimensions, self.embedder, self.chunker)

    @property
    def not_reproducible(self) -> bool:
        return bool(self.details.get("frozen", False))

    @property
    def recall(self) -> float | None:
        """Share of the exact nearest that its searches found when that was last measured."""
        measured = self.details.get("recall")
        return None if measured is None else float(measured["share"])

    @property
    def complete(self) -> bool:
        return self.state in COMPLETE


_SELECTED = [generations.c[name] for name in Generation.__slots__]


def all_of(connection: Connection) -> list[Generation]:
    """Every generation, oldest first."""
    columns = generations.c
    statement = select(*_SELECTED).order_by(columns.created_at, columns.name)
    return [Generation(*row) for row in connection.execute(statement)]


def write_targets(connection: Connection) -> list[Generation]:
    """The generations that receive writes, the active one first."""
    found = [row for row in all_of(connection) if row.state in RECEIVES_WRITES]
    return sorted(found, key=lambda row: row.state != "active")


def must_be_complete(connection: Connection) -> list[Generation]:
    """The generations that must have indexed every document at the end of a run."""
    return [row for row in write_targets(connection) if row.complete and not row.not_reproducible]


def get(connection: Connection, name: str) -> Generation:
    """One generation. Raises `NotFound` (`GENERATION_NOT_FOUND`)."""
    row = connection.execute(select(*_SELECTED).where(generations.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(Reason.GENERATION_NOT_FOUND, f"index: no generation {name[:64]!r}")
    return Generation(*row)


def active(connection: Connection) -> Generation | None:
    """The generation that serves readers; `None` before the first."""
    return next((row for row in all_of(connection) if row.state == "active"), None)


def add(
    connection: Connection,
    spec: GenerationSpec,
    settings: Mapping[str, Any] | None = None,
    *,
    actor: str = "pipeline",
    reason: str = "",
) -> None:
    """Create a generation in state `building`, or restart a retired one of that name with its marks.

    Raises `InvalidInput` (`FIELD_INVALID`) for an invalid name or dimensions.
    """
    check_spec(spec)
    values = {
        "state": "building",
        "details": {},
        "settings": dict(settings or {}),
        "counts": {},
        "evaluation": null(),
        "actor": actor,
        "reason": reason,
        "created_at": func.now(),
    }
    values |= dict.fromkeys(
        ("ready_at", "evaluation_wanted_at", "promoted_at", "promoted_from", "keep_until", "retired_at"), None
    )
    statement = insert(generations).values(
        name=spec.name, embedder=spec.embedder, dimensions=spec.dimensions, chunker=spec.chunker, **values
    )
    connection.execute(statement.on_conflict_do_update(constraint=generations.primary_key, set_=values))


def change(connection: Connection, name: str, **values: Any) -> None:
    """Update columns of a row."""
    connection.execute(update(generations).where(generations.c.name == name).values(**values))


def record_recall(connection: Connection, name: str, share: float, searches: int) -> None:
    """Record the measured recall of a generation's search graph."""
    measured = {"recall": {"share": round(share, 4), "searches": searches}}
    details = generations.c.details.op("||")(cast(measured, JSONB))
    connection.execute(update(generations).where(generations.c.name == name).values(details=details))


def activate(connection: Connection, name: str, *, keep: timedelta = timedelta(0), back: bool = False) -> None:
    """Make a generation the active one; the previous one stays `ready` for `keep`, for a rollback.

    `back`: this activation is itself a rollback, so `promoted_from` is cleared.
    """
    before = active(connection)
    if before is not None:
        change(connection, before.name, state="ready", keep_until=func.now() + keep)
    came_from = before.name if before and not back else None
    change(connection, name, state="active", promoted_at=func.now(), promoted_from=came_from, keep_until=None)
    data = {"generation": name, "previous": before.name if before else None, "rollback": back}
    outbox.record(connection, [WebhookEvent(EventType.GENERATION_PROMOTED, "", data)])


def set_not_reproducible(connection: Connection, name: str, *, not_reproducible: bool) -> None:
    """Record whether a generation can be reproduced."""
    value = generations.c.details.op("||")(func.jsonb_build_object("frozen", not_reproducible))
    connection.execute(update(generations).where(generations.c.name == name).values(details=value))


def clear_indexed(connection: Connection, name: str, doc_ids: Collection[uuid.UUID] | None = None) -> int:
    """Treat a generation as empty: every document is pending again. For an index whose files were lost.

    With `doc_ids` only these are.
    """
    statement = delete(generation_documents).where(generation_documents.c.generation == name)
    if doc_ids is not None:
        statement = statement.where(generation_documents.c.doc_id.in_(sorted(doc_ids)))
    return connection.execute(statement).rowcount


def count_indexed(connection: Connection, name: str) -> int:
    """Count the documents of a generation, in whatever version."""
    statement = select(func.count()).where(generation_documents.c.generation == name)
    return connection.scalar(statement) or 0


_BY_SHARD = text("""
SELECT p.tenant, p.source, p.shard, count(*) AS documents FROM rag.pending_index(:generation) p WHERE p.required
GROUP BY p.tenant, p.source, p.shard ORDER BY p.tenant, p.source, p.shard
""")


def pending_by_shard(connection: Connection, name: str) -> dict[Shard, int]:
    """Pending documents of a generation: (tenant, source, shard) to their number; empty when there are none."""
    rows = connection.execute(_BY_SHARD, {"generation": name})
    return {(row.tenant, row.source, row.shard): row.documents for row in rows}


@dataclass(frozen=True, slots=True)
class DocumentTotals:
    """Live documents that a generation has indexed in their current version, and documents pending for it."""

    documents: int
    pending: int


_TOTALS = text("""
SELECT n.name, count(p.doc_id) FILTER (WHERE p.required) AS pending,
       CASE WHEN n.state = 'retired' THEN 0 ELSE live.documents - count(p.doc_id) FILTER (WHERE NOT p.deleted) END
           AS documents
FROM rag.generations n
CROSS JOIN (SELECT count(*) AS documents FROM rag.documents
            WHERE deleted_at IS NULL AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)) AS live
LEFT JOIN LATERAL rag.pending_index(n.name) p
     ON n.state <> 'retired' AND (CAST(:tenant AS text) IS NULL OR p.tenant = :tenant)
GROUP BY n.name, n.state, live.documents
""")


def document_totals(connection: Connection, tenant: str | None = None) -> dict[str, DocumentTotals]:
    """Totals of every generation by name, over all tenants or one. Both are 0 for a retired generation."""
    rows = connection.execute(_TOTALS, {"tenant": tenant})
    return {row.name: DocumentTotals(row.documents, row.pending) for row in rows}


# A temporary table, because everything may be pending.
_SNAPSHOT = text("""
CREATE TEMP TABLE pending_before AS
SELECT p.doc_id, p.version, p.tenant, p.source, p.shard FROM rag.pending_index(:generation) p WHERE p.required
""")
_SNAPSHOT_COUNTS = text("""
SELECT tenant, source, shard, count(*) AS documents FROM pending_before
GROUP BY tenant, source, shard ORDER BY tenant, source, shard
""")
_STILL_PENDING = text("""
SELECT count(*) FROM pending_before b
JOIN rag.pending_index(:generation) p ON p.doc_id = b.doc_id AND p.version = b.version AND p.required
WHERE CAST(:tenant AS text) IS NULL OR (b.tenant = :tenant AND b.source = :source AND b.shard = :shard)
""")


def remember_pending(connection: Connection, name: str) -> dict[Shard, int]:
    """Remember on this connection which versions are pending for a generation now; returns their number by shard.

    For `still_pending`. Commits. Replaces an earlier snapshot of the connection.
    """
    connection.execute(text("DROP TABLE IF EXISTS pending_before"))
    connection.execute(_SNAPSHOT, {"generation": name})
    rows = connection.execute(_SNAPSHOT_COUNTS).all()
    connection.commit()
    return {(row.tenant, row.source, row.shard): row.documents for row in rows}


def still_pending(connection: Connection, name: str, shard: Shard | None = None) -> int:
    """Count the remembered versions that are still pending, of one shard or all."""
    tenant, source, number = shard or (None, None, None)
    params = {"generation": name, "tenant": tenant, "source": source, "shard": number}
    return connection.scalar(_STILL_PENDING, params) or 0


_MARK_INDEXED = text("""
INSERT INTO rag.generation_documents (generation, doc_id, indexed_version)
SELECT :generation, n.doc_id, n.version
FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version) ORDER BY n.doc_id
ON CONFLICT (generation, doc_id) DO UPDATE SET indexed_version = excluded.indexed_version, indexed_at = now()
WHERE generation_documents.indexed_version < excluded.indexed_version
RETURNING doc_id, EXISTS (SELECT FROM rag.generations g WHERE g.name = :generation AND g.state = 'active') AS served
""")


def mark_indexed(connection: Connection, generation: str, applied: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Record the versions that the index has flushed. An older version never replaces a newer one.

    Pending revocations that every generation has now applied are deleted.
    """
    ids = [doc_id for doc_id, _ in applied]
    params = {"generation": generation, "ids": ids, "versions": [version for _, version in applied]}
    marked = connection.execute(_MARK_INDEXED, params).all()
    outbox.record_indexed(connection, [row.doc_id for row in marked if row.served])
    visibility.delete_applied_changes(connection, ids)


_EXPECTED = text("""
SELECT coalesce(sum(k.chunk_count), 0) FROM rag.documents d
JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.deleted_at IS NULL AND d.acl IS NOT NULL
""")


def expected_points(connection: Connection, generation: Generation) -> int:
    """The number of points in the index when nothing is pending for the generation."""
    return int(connection.scalar(_EXPECTED, {"chunker": generation.chunker}) or 0)
