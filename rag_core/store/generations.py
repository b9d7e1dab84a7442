"""Index generations as PostgreSQL knows them, and the marks that say which document version each one holds."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from rag_core.errors import NotFound, Reason
from rag_core.index.base import GenerationSpec
from rag_core.store.tables import generation_documents, generations

FOLLOWING = ("building", "ready", "active")
"""States in which a generation receives every change."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A row. A `frozen` one was built with another embedder or chunker than this installation now uses: readers may
    still be on it, but nothing new can be written to it."""

    name: str
    state: str
    embedder: str
    dimensions: int
    chunker: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> GenerationSpec:
        return GenerationSpec(self.name, self.dimensions, self.embedder, self.chunker)

    @property
    def frozen(self) -> bool:
        return bool(self.details.get("frozen", False))


def all_of(connection: Connection) -> list[Generation]:
    """Every generation, oldest first."""
    columns = generations.c
    statement = select(
        columns.name, columns.state, columns.embedder, columns.dimensions, columns.chunker, columns.details
    ).order_by(columns.created_at, columns.name)
    return [Generation(*row) for row in connection.execute(statement)]


def following(connection: Connection) -> list[Generation]:
    """The generations that every change goes to."""
    return [row for row in all_of(connection) if row.state in FOLLOWING and not row.frozen]


def get(connection: Connection, name: str) -> Generation:
    """One generation. Raises `NotFound` (`GENERATION_NOT_FOUND`)."""
    for row in all_of(connection):
        if row.name == name:
            return row
    raise NotFound(Reason.GENERATION_NOT_FOUND, f"index: no generation {name!r}")


def active(connection: Connection) -> Generation | None:
    """The generation that readers should see, `None` before the first."""
    return next((row for row in all_of(connection) if row.state == "active"), None)


def add(connection: Connection, spec: GenerationSpec) -> None:
    """Create a generation in state `building`; one that exists (retired) is taken up again with its marks."""
    values = {"state": "building", "details": {}}
    statement = insert(generations).values(
        name=spec.name, embedder=spec.embedder, dimensions=spec.dimensions, chunker=spec.chunker, **values
    )
    connection.execute(statement.on_conflict_do_update(constraint=generations.primary_key, set_=values))


def activate(connection: Connection, name: str) -> None:
    """Make a generation the active one; the one before is retired."""
    connection.execute(update(generations).where(generations.c.state == "active").values(state="retired"))
    connection.execute(
        update(generations).where(generations.c.name == name).values(state="active", promoted_at=func.now())
    )


def set_frozen(connection: Connection, name: str, *, frozen: bool) -> None:
    """Stop or resume writing to a generation."""
    value = generations.c.details.op("||")(func.jsonb_build_object("frozen", frozen))
    connection.execute(update(generations).where(generations.c.name == name).values(details=value))


def forget_marks(connection: Connection, name: str) -> int:
    """Treat a generation as empty: every document is due again. For an index whose files were lost."""
    return connection.execute(delete(generation_documents).where(generation_documents.c.generation == name)).rowcount


_MARK = text("""
INSERT INTO rag.generation_documents (generation, doc_id, indexed_version)
SELECT :generation, n.doc_id, n.version
FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS n (doc_id, version) ORDER BY n.doc_id
ON CONFLICT (generation, doc_id) DO UPDATE SET indexed_version = excluded.indexed_version
WHERE generation_documents.indexed_version < excluded.indexed_version
""")


def mark(connection: Connection, generation: str, applied: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Record which versions the index holds, after it has flushed them. An older version never replaces a newer one."""
    params = {
        "generation": generation,
        "ids": [doc_id for doc_id, _ in applied],
        "versions": [version for _, version in applied],
    }
    connection.execute(_MARK, params)
