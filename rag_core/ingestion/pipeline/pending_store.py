"""Pending work of a stage: selected once, then read in batches of bounded size.

Database functions define what is pending (`rag.pending_chunks`, `rag.pending_embeddings`, `rag.pending_index`, see
`rag_core/database/tables/pending.sql`). A crash at any point leaves the rows pending for the next run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from rag_core.content.sources import Shard
from rag_core.ingestion.generations import Generation

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Extent:
    """The documents in scope: given ones, all documents of a shard, or all."""

    shard: Shard | None = None
    doc_ids: Sequence[uuid.UUID] | None = None

    def condition(self) -> tuple[str, dict[str, Any]]:
        if self.doc_ids is not None:
            return "p.doc_id = ANY(:within)", {"within": list(self.doc_ids)}
        if self.shard is not None:
            keys = dict(zip(("tenant", "source", "shard"), self.shard, strict=True))
            return "p.tenant = :tenant AND p.source = :source AND p.shard = :shard", keys
        return "true", {}


EVERYTHING: Final = Extent()


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending document that is ready for the stage. `weight` is its size in characters or chunks."""

    doc_id: uuid.UUID
    version: int
    weight: int


class Selection:
    """The documents pending at the start of a pass: given ones in memory, others in a temporary table.

    `found` selects `p.doc_id` and has a placeholder for a condition; `ready` selects `doc_id`, `version` and `weight`
    of the documents among `:ids` that are ready.
    """

    def __init__(
        self, connection: Connection, extent: Extent, found: str, ready: str, params: Mapping[str, Any]
    ) -> None:
        where, keys = extent.condition()
        statement = found.replace("{where}", where)
        self._connection, self._params = connection, dict(params)
        self._ready = text(ready)
        self._ids: list[uuid.UUID] | None = None
        if extent.doc_ids is not None:
            self._ids = sorted(connection.scalars(text(statement), {**params, **keys}))
            self.total = len(self._ids)
        else:
            self.total = self._keep(statement, {**params, **keys})
        connection.commit()

    @property
    def relation(self) -> tuple[str, dict[str, Any]]:
        """A FROM item named `selected` with a column `doc_id`, and its parameters."""
        if self._ids is None:
            return "selected", {}
        return "unnest(CAST(:selected AS uuid[])) AS selected (doc_id)", {"selected": self._ids}

    def batches(self, *, documents: int, weight: int) -> Iterator[list[Pending]]:
        """Batches of ready documents, limited in number and total weight; a heavier document is a batch of its own.

        No transaction is open between two batches.
        """
        for ids in self._pages():
            rows = [Pending(*row) for row in self._connection.execute(self._ready, {**self._params, "ids": ids})]
            self._connection.commit()
            while rows:
                batch = _fitting(rows[:documents], weight)
                yield batch
                rows = rows[len(batch) :]

    def _keep(self, statement: str, params: Mapping[str, Any]) -> int:
        self._connection.execute(text("DROP TABLE IF EXISTS selected"))
        found = self._connection.execute(text(f"CREATE TEMP TABLE selected AS {statement}"), params).rowcount
        if found:
            self._connection.execute(text("CREATE UNIQUE INDEX ON selected (doc_id)"))
            self._connection.execute(text("ANALYZE selected"))
        return found

    def _pages(self) -> Iterator[list[uuid.UUID]]:
        if self._ids is not None:
            yield from (self._ids[start : start + _PAGE] for start in range(0, self.total, _PAGE))
            return
        page = text("SELECT doc_id FROM selected WHERE doc_id > :after ORDER BY doc_id LIMIT :page")
        after = uuid.UUID(int=0)
        while self.total and (ids := list(self._connection.scalars(page, {"after": after, "page": _PAGE}))):
            yield ids
            after = ids[-1]


_CHUNKS = "SELECT p.doc_id FROM rag.pending_chunks(:chunker) p WHERE {where} AND (p.chunked OR NOT :only_indexed)"
_TEXTS = """
SELECT d.doc_id, d.text_version, octet_length(d.text) FROM rag.documents d
WHERE d.doc_id = ANY(:ids) AND d.deleted_at IS NULL ORDER BY d.doc_id
"""


def chunks(connection: Connection, extent: Extent, chunker: str, *, only_indexed: bool = False) -> Selection:
    """Live documents whose chunks are missing or outdated; `only_indexed`: only those this chunker chunked before."""
    return Selection(connection, extent, _CHUNKS, _TEXTS, {"chunker": chunker, "only_indexed": only_indexed})


_LIVE = "SELECT p.doc_id FROM rag.pending_index(:generation{n}) p WHERE {where} AND NOT p.deleted"
_CHUNKED = """
SELECT k.doc_id, k.text_version, k.chunk_count FROM rag.chunkings k
WHERE k.doc_id = ANY(:ids) AND k.chunker = :chunker AND k.chunk_count > 0 ORDER BY k.doc_id
"""
_INDEXED = " AND p.indexed_version IS NOT NULL"


def embeddings(
    connection: Connection, extent: Extent, chunker: str, generations: Sequence[tuple[str, bool]]
) -> Selection:
    """Live documents whose current version one of the generations has not indexed; without generations, all of them.

    A generation is given by its name and `only_indexed`: whether to count only documents it has in some version.
    """
    named = list(generations) or [("", False)]
    found = [
        _LIVE.replace("{n}", str(number)) + (_INDEXED if only_indexed else "")
        for number, (_, only_indexed) in enumerate(named)
    ]
    names = {f"generation{number}": name for number, (name, _) in enumerate(named)}
    return Selection(connection, extent, " UNION ".join(found), _CHUNKED, {"chunker": chunker, **names})


_INDEX = "SELECT p.doc_id FROM rag.pending_index(:generation) p WHERE {where}"
# A rejected document is applied without points: PostgreSQL has its new text, so the old points are outdated.
_COMPLETE = """
SELECT d.doc_id, d.version, CASE WHEN d.deleted_at IS NULL AND d.acl IS NOT NULL THEN k.chunk_count ELSE 0 END
FROM rag.documents d
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.doc_id = ANY(:ids) AND (d.deleted_at IS NOT NULL OR (k.doc_id IS NOT NULL AND d.doc_id NOT IN (
    SELECT e.doc_id FROM rag.pending_embeddings(:chunker, :embedder) e WHERE e.doc_id = ANY(:ids))))
ORDER BY d.doc_id
"""


def index(connection: Connection, extent: Extent, generation: Generation, *, only_indexed: bool = False) -> Selection:
    """Documents and tombstones whose current version a generation has not indexed.

    They are ready once their chunks and vectors are complete. `only_indexed`: only those it has in some version.
    """
    fingerprints = {"chunker": generation.chunker, "embedder": generation.embedder, "generation": generation.name}
    return Selection(connection, extent, _INDEX + (_INDEXED if only_indexed else ""), _COMPLETE, fingerprints)


# Tombstones first, then what costs little, in four classes of size; within a class what changed last.
_BACKLOG = """
CREATE TEMP TABLE backlog AS
SELECT d.doc_id, CASE WHEN d.deleted_at IS NULL THEN octet_length(d.text) ELSE 0 END AS chars,
       row_number() OVER (ORDER BY d.deleted_at IS NULL, least(3, octet_length(d.text) / 32768),
                          d.updated_at DESC, octet_length(d.text), d.doc_id) AS position
FROM rag.documents d WHERE d.doc_id IN ({found})
"""


class Backlog:
    """The documents of a shard that generations have not indexed, in the order in which they should be.

    `documents` counts those that were not taken yet, `chars` is their text.
    """

    def __init__(self, connection: Connection, shard: Shard, generations: Sequence[tuple[str, bool]]) -> None:
        where, keys = Extent(shard).condition()
        named = list(generations) or [("", False)]
        found = [
            _INDEX.replace(":generation", f":generation{number}").replace("{where}", where)
            + (_INDEXED if only_indexed else "")
            for number, (_, only_indexed) in enumerate(named)
        ]
        names = {f"generation{number}": name for number, (name, _) in enumerate(named)}
        self._connection, self._after = connection, 0
        connection.execute(text("DROP TABLE IF EXISTS backlog"))
        statement = text(_BACKLOG.replace("{found}", " UNION ".join(found)))
        self.documents = connection.execute(statement, keys | names).rowcount
        size = "SELECT coalesce(sum(chars), 0)::bigint FROM backlog"
        self.chars = int(connection.scalar(text(size)) or 0) if self.documents else 0
        connection.commit()

    def take(self, *, documents: int, chars: int) -> tuple[list[uuid.UUID], int]:
        """The next documents, and the characters of their text; at least one while there is any."""
        if not self.documents:
            return [], 0
        page = text("SELECT doc_id, chars, position FROM backlog WHERE position > :after ORDER BY position LIMIT :page")
        rows = self._connection.execute(page, {"after": self._after, "page": documents}).all()
        self._connection.commit()
        taken, total = list[uuid.UUID](), 0
        for row in rows:
            if taken and total + row.chars > chars:
                break
            taken.append(row.doc_id)
            total += row.chars
            self._after = row.position
        self.chars -= total
        self.documents -= len(taken)
        return taken, total


def _fitting(rows: list[Pending], weight: int) -> list[Pending]:
    total = 0
    for number, row in enumerate(rows):
        total += row.weight
        if total > weight and number > 0:
            return rows[:number]
    return rows
