"""Index generations as PostgreSQL knows them, and the marks that say which document version each one holds.

`building -> ready -> active -> retired`. A generation that readers left is `ready` again until its grace period ends:
it follows every change, so that a rollback loses nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert

from rag_core.errors import NotFound, Reason
from rag_core.index.base import GenerationSpec
from rag_core.index.checks import check_spec
from rag_core.store import visibility
from rag_core.store.tables import generation_documents, generations

Shard = tuple[str, str, int]
"""Tenant, source, shard."""
FOLLOWING = ("building", "ready", "active")
"""States in which a generation receives changes."""
COMPLETE = ("ready", "active")
"""States in which it lacks nothing but what changed just now."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A row. `settings` reproduce its embedder and chunker (`rag_core.recipe`), `evaluation` is the gate's
    last result, `actor` and `reason` say who started it and why.

    A `frozen` one cannot be computed any more (its model is gone): deletions and permissions still reach it, new text
    does not.
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
    def frozen(self) -> bool:
        return bool(self.details.get("frozen", False))

    @property
    def complete(self) -> bool:
        return self.state in COMPLETE


_SELECTED = [generations.c[name] for name in Generation.__slots__]


def all_of(connection: Connection) -> list[Generation]:
    """Every generation, oldest first."""
    columns = generations.c
    statement = select(*_SELECTED).order_by(columns.created_at, columns.name)
    return [Generation(*row) for row in connection.execute(statement)]


def following(connection: Connection) -> list[Generation]:
    """The generations that changes go to, the active one first."""
    found = [row for row in all_of(connection) if row.state in FOLLOWING]
    return sorted(found, key=lambda row: row.state != "active")


def accountable(connection: Connection) -> list[Generation]:
    """The generations that must hold every document once a run has ended."""
    return [row for row in following(connection) if row.complete and not row.frozen]


def get(connection: Connection, name: str) -> Generation:
    """One generation. Raises `NotFound` (`GENERATION_NOT_FOUND`)."""
    row = connection.execute(select(*_SELECTED).where(generations.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(Reason.GENERATION_NOT_FOUND, f"index: no generation {name[:64]!r}")
    return Generation(*row)


def active(connection: Connection) -> Generation | None:
    """The generation that readers should see, `None` before the first."""
    return next((row for row in all_of(connection) if row.state == "active"), None)


def add(
    connection: Connection,
    spec: GenerationSpec,
    settings: Mapping[str, Any] | None = None,
    *,
    actor: str = "pipeline",
    reason: str = "",
) -> None:
    """Create a generation in state `building`; one that exists (retired) is taken up again with its marks.

    Raises `InvalidInput` (`FIELD_INVALID`) for a name or dimensions that no index can have.
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
    """Set columns of a row."""
    connection.execute(update(generations).where(generations.c.name == name).values(**values))


def activate(connection: Connection, name: str, *, keep: timedelta = timedelta(0), back: bool = False) -> None:
    """Make a generation the active one; the one before stays `ready` for `keep`, so that readers can return to it.

    `back` means that they return now: there is nothing further to go back to then.
    """
    before = active(connection)
    if before is not None:
        change(connection, before.name, state="ready", keep_until=func.now() + keep)
    came_from = before.name if before and not back else None
    change(connection, name, state="active", promoted_at=func.now(), promoted_from=came_from, keep_until=None)


def set_frozen(connection: Connection, name: str, *, frozen: bool) -> None:
    """Note that a generation cannot be computed any more, or can again."""
    value = generations.c.details.op("||")(func.jsonb_build_object("frozen", frozen))
    connection.execute(update(generations).where(generations.c.name == name).values(details=value))


def forget_marks(connection: Connection, name: str) -> int:
    """Treat a generation as empty: every document is due again. For an index whose files were lost."""
    return connection.execute(delete(generation_documents).where(generation_documents.c.generation == name)).rowcount


_BACKLOG = text("""
SELECT d.tenant, d.source, d.shard, count(*) AS documents FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = d.doc_id
WHERE g.indexed_version IS DISTINCT FROM d.version AND NOT (g.doc_id IS NULL AND d.deleted_at IS NOT NULL)
GROUP BY d.tenant, d.source, d.shard ORDER BY d.tenant, d.source, d.shard
""")


def backlog(connection: Connection, name: str) -> dict[Shard, int]:
    """What a generation lacks: (tenant, source, shard) to the number of documents; empty when it lacks nothing."""
    rows = connection.execute(_BACKLOG, {"generation": name})
    return {(row.tenant, row.source, row.shard): row.documents for row in rows}


@dataclass(frozen=True, slots=True)
class Standing:
    """How many documents a generation holds in their present version, and how many it lacks."""

    documents: int
    pending: int


_STANDING = text("""
SELECT n.name,
       count(*) FILTER (WHERE g.indexed_version = d.version AND d.deleted_at IS NULL) AS documents,
       count(*) FILTER (WHERE g.indexed_version IS DISTINCT FROM d.version
                        AND NOT (g.doc_id IS NULL AND d.deleted_at IS NOT NULL)) AS pending
FROM rag.generations n
LEFT JOIN rag.documents d ON n.state <> 'retired' AND (CAST(:tenant AS text) IS NULL OR d.tenant = :tenant)
LEFT JOIN rag.generation_documents g ON g.generation = n.name AND g.doc_id = d.doc_id
GROUP BY n.name
""")


def standing(connection: Connection, tenant: str | None = None) -> dict[str, Standing]:
    """Every generation's, by name, over all tenants or one. What was retired holds and lacks nothing."""
    rows = connection.execute(_STANDING, {"tenant": tenant})
    return {row.name: Standing(row.documents, row.pending) for row in rows}


# Tombstones that the generation never held need nothing. A temporary table, because what is pending may be everything.
_SNAPSHOT = text("""
CREATE TEMP TABLE pending_before AS
SELECT d.doc_id, d.version, d.tenant, d.source, d.shard FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = d.doc_id
WHERE g.indexed_version IS DISTINCT FROM d.version AND NOT (g.doc_id IS NULL AND d.deleted_at IS NOT NULL)
""")
_SNAPSHOT_COUNTS = text("""
SELECT tenant, source, shard, count(*) AS documents FROM pending_before
GROUP BY tenant, source, shard ORDER BY tenant, source, shard
""")
_STILL_PENDING = text("""
SELECT count(*) FROM pending_before b
JOIN rag.documents d ON d.doc_id = b.doc_id AND d.version = b.version
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = b.doc_id
WHERE g.indexed_version IS DISTINCT FROM b.version AND NOT (g.doc_id IS NULL AND d.deleted_at IS NOT NULL)
  AND (CAST(:tenant AS text) IS NULL OR (b.tenant = :tenant AND b.source = :source AND b.shard = :shard))
""")
_HELD = text(
    "SELECT doc_id, indexed_version FROM rag.generation_documents WHERE generation = :name AND doc_id = ANY(:ids)"
)


def remember_pending(connection: Connection, name: str) -> dict[Shard, int]:
    """Keep, with this connection, which document versions a generation is missing now; returns them by shard, counted.

    For `still_pending`. Commits. An earlier snapshot of the connection is replaced.
    """
    connection.execute(text("DROP TABLE IF EXISTS pending_before"))
    connection.execute(_SNAPSHOT, {"generation": name})
    rows = connection.execute(_SNAPSHOT_COUNTS).all()
    connection.commit()
    return {(row.tenant, row.source, row.shard): row.documents for row in rows}


def still_pending(connection: Connection, name: str, shard: Shard | None = None) -> int:
    """How many of the remembered versions the generation is missing still, of one shard or all."""
    tenant, source, number = shard or (None, None, None)
    params = {"generation": name, "tenant": tenant, "source": source, "shard": number}
    return connection.scalar(_STILL_PENDING, params) or 0


def held(connection: Connection, name: str, doc_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The version of each document that a generation holds."""
    params = {"name": name, "ids": list(doc_ids)}
    return {row.doc_id: row.indexed_version for row in connection.execute(_HELD, params)}


_MARK = text("""
INSERT INTO rag.generation_documents (generation, doc_id, indexed_version)
SELECT :generation, n.doc_id, n.version
FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version) ORDER BY n.doc_id
ON CONFLICT (generation, doc_id) DO UPDATE SET indexed_version = excluded.indexed_version
WHERE generation_documents.indexed_version < excluded.indexed_version
""")


def mark(connection: Connection, generation: str, applied: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Record which versions the index holds, after it has flushed them. An older version never replaces a newer one.

    A change of permissions that every generation holds now is settled with it.
    """
    ids = [doc_id for doc_id, _ in applied]
    params = {"generation": generation, "ids": ids, "versions": [version for _, version in applied]}
    connection.execute(_MARK, params)
    visibility.settle(connection, ids)


_EXPECTED = text("""
SELECT coalesce(sum(k.chunk_count), 0) FROM rag.documents d
JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.deleted_at IS NULL AND d.acl IS NOT NULL
""")


def expected_points(connection: Connection, generation: Generation) -> int:
    """Points the index should hold when the generation lacks nothing."""
    return int(connection.scalar(_EXPECTED, {"chunker": generation.chunker}) or 0)
