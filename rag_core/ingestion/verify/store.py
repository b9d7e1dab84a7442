"""The expected contents of the index, read from PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Connection, Row, text

from rag_core.content.embedding import Vectors, decode
from rag_core.database import Store
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.pipeline import payload_of
from rag_core.ingestion.verify.report import DocumentStates, Finding, FindingKind
from rag_core.retrieval.index import IndexPoint

PAGE = 1000
TEXT_PAGE = 16
"""Documents whose full text is in memory at once."""
_NO_VECTOR: Vectors = np.empty(0, dtype=np.float32)
_NIL = uuid.UUID(int=0)


class Expectation(Protocol):
    """The expected points. A point without an embedding has a vector of shape [0]."""

    def points(self) -> Iterator[IndexPoint]:
        """The points in the order of their chunk ids."""
        ...

    def sample(self, size: int) -> Iterator[IndexPoint]:
        """Random points with an embedding, `size` at most."""
        ...

    def chunk_at(self, keys: Sequence[tuple[uuid.UUID, int]]) -> dict[tuple[uuid.UUID, int], uuid.UUID]:
        """Ids of existing chunks by (document, ordinal)."""
        ...


# The chunks the index must have: of live, indexed documents with a known ACL that were not rejected.
_EXPECTED = """
FROM rag.chunks c
JOIN rag.documents d ON d.doc_id = c.doc_id
JOIN rag.chunkings k ON k.doc_id = c.doc_id AND k.chunker = c.chunker AND k.text_version = d.text_version
JOIN rag.generation_documents g
     ON g.generation = :generation AND g.doc_id = d.doc_id AND g.indexed_version = d.version
LEFT JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
WHERE c.chunker = :chunker AND d.deleted_at IS NULL AND d.acl IS NOT NULL AND NOT k.rejected
"""
_POINT = """
SELECT c.chunk_id, c.doc_id, d.version, d.tenant, d.source, d.locator, d.title, d.acl, c.ordinal, c.start, c."end",
       c.headings, c.blocks, c.embed_text, d.language, d.media_type, d.updated_at, d.metadata, d.links,
       e.vector
"""
_POINTS = text(f"""
{_POINT} {_EXPECTED} AND c.chunk_id > :after ORDER BY c.chunk_id LIMIT :page
""")
_POINTS_AT = text(f"{_POINT} {_EXPECTED} AND c.chunk_id = ANY(:ids)")
_EXIST = text(f"SELECT c.chunk_id {_EXPECTED} AND c.chunk_id = ANY(:ids)")
_CHUNK_AT = text("""
SELECT c.doc_id, c.ordinal, c.chunk_id FROM rag.chunks c
JOIN unnest(CAST(:ids AS uuid[]), CAST(:ordinals AS int[])) AS n (doc_id, ordinal)
     ON n.doc_id = c.doc_id AND n.ordinal = c.ordinal
WHERE c.chunker = :chunker
""")
_CHANGING = text("""
SELECT d.doc_id, d.version, p.doc_id IS NOT NULL AS pending FROM rag.documents d
LEFT JOIN rag.pending_index(:generation) p ON p.doc_id = d.doc_id
WHERE d.doc_id = ANY(:ids)
""")


class GenerationRows:
    """The rows of one generation, read in pages without an open transaction in between."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._keys = {
            "generation": generation.name,
            "embedder": generation.embedder,
            "chunker": generation.chunker,
        }

    def points(self) -> Iterator[IndexPoint]:
        after = _NIL
        while True:
            with self._store.engine.connect() as connection:
                rows = connection.execute(_POINTS, {**self._keys, "after": after, "page": PAGE}).all()
            if not rows:
                return
            yield from map(_point, rows)
            after = rows[-1].chunk_id

    def sample(self, size: int) -> Iterator[IndexPoint]:
        found: dict[uuid.UUID, IndexPoint] = {}
        with self._store.engine.connect() as connection:
            for _ in range(size):  # ids are hashes: the next one after a random one is a random one
                params = {**self._keys, "after": uuid.uuid4(), "page": 1}
                found |= {row.chunk_id: _point(row) for row in connection.execute(_POINTS, params)}
        return (point for point in found.values() if point.vector.size)

    def chunk_at(self, keys: Sequence[tuple[uuid.UUID, int]]) -> dict[tuple[uuid.UUID, int], uuid.UUID]:
        params = {**self._keys, "ids": [doc_id for doc_id, _ in keys], "ordinals": [ordinal for _, ordinal in keys]}
        with self._store.engine.connect() as connection:
            return {(row.doc_id, row.ordinal): row.chunk_id for row in connection.execute(_CHUNK_AT, params)}

    def changing(self, doc_ids: Sequence[uuid.UUID], versions: dict[uuid.UUID, int]) -> set[uuid.UUID]:
        """Documents that changed since they were compared at `versions`, or that are pending for the generation."""
        with self._store.engine.connect() as connection:
            rows = connection.execute(_CHANGING, {**self._keys, "ids": list(doc_ids)}).all()
        return {row.doc_id for row in rows if row.pending or versions.get(row.doc_id, row.version) != row.version}

    def points_at(self, chunk_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, IndexPoint]:
        """The points with these ids that the index should have now."""
        with self._store.engine.connect() as connection:
            rows = connection.execute(_POINTS_AT, {**self._keys, "ids": list(chunk_ids)}).all()
        return {row.chunk_id: _point(row) for row in rows}

    def expected_now(self, chunk_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Those of these chunks that the index should have now."""
        with self._store.engine.connect() as connection:
            return set(connection.scalars(_EXIST, {**self._keys, "ids": list(chunk_ids)}))

    def document_findings(self) -> Iterator[Finding]:
        """Unindexed documents, and chunks that are not the span of their document's text."""
        with self._store.engine.connect() as connection:
            yield from _unindexed(connection, self._keys)
        after = _NIL
        while True:
            with self._store.snapshot() as connection:
                texts = connection.execute(_TEXTS, {**self._keys, "after": after, "page": TEXT_PAGE}).all()
                ids = [row.doc_id for row in texts]
                chunks = connection.execute(_SPANS, {**self._keys, "ids": ids}).all()
            if not texts:
                return
            yield from _torn({row.doc_id: row.text for row in texts}, chunks)
            after = ids[-1]

    def states(self) -> tuple[DocumentStates, int, int]:
        """Documents by state, and the recorded and actual number of chunks of indexed ones, in one snapshot."""
        with self._store.engine.connect() as connection:
            row = connection.execute(_STATES, self._keys).one()
        counts = (row.indexed, row.deleted, row.withheld, row.rejected, row.pending, row.total)
        return DocumentStates(*counts), int(row.chunks), int(row.held)


_UNINDEXED = text("""
SELECT p.doc_id, p.version, p.indexed_version FROM rag.pending_index(:generation) p WHERE p.required ORDER BY p.doc_id
""")
_TEXTS = text("""
SELECT d.doc_id, d.text FROM rag.documents d
JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.doc_id > :after AND d.deleted_at IS NULL ORDER BY d.doc_id LIMIT :page
""")
_SPANS = text("""
SELECT c.doc_id, c.chunk_id, c.start, c."end", c.embed_text FROM rag.chunks c
WHERE c.doc_id = ANY(:ids) AND c.chunker = :chunker
""")
_STATES = text("""
WITH judged AS (
    SELECT d.deleted_at IS NOT NULL AS deleted, d.acl IS NULL AS withheld, coalesce(k.rejected, false) AS rejected,
           coalesce(k.chunk_count, 0) AS chunks,
           (SELECT count(*) FROM rag.chunks c WHERE c.doc_id = d.doc_id AND c.chunker = :chunker) AS held,
           coalesce(p.required, false) AS pending
    FROM rag.documents d
    LEFT JOIN rag.pending_index(:generation) p ON p.doc_id = d.doc_id
    LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
)
SELECT count(*) AS total,
       count(*) FILTER (WHERE pending) AS pending,
       count(*) FILTER (WHERE NOT pending AND deleted) AS deleted,
       count(*) FILTER (WHERE NOT pending AND NOT deleted AND withheld) AS withheld,
       count(*) FILTER (WHERE NOT pending AND NOT deleted AND NOT withheld AND rejected) AS rejected,
       count(*) FILTER (WHERE NOT pending AND NOT deleted AND NOT withheld AND NOT rejected) AS indexed,
       coalesce(sum(chunks) FILTER (WHERE NOT pending AND NOT deleted AND NOT withheld AND NOT rejected), 0) AS chunks,
       coalesce(sum(held) FILTER (WHERE NOT pending AND NOT deleted AND NOT withheld AND NOT rejected), 0) AS held
FROM judged
""")


def _point(row: Any) -> IndexPoint:
    # The chunk's own text ends what is embedded; that it is the document's span is checked document by document.
    payload = payload_of(row, row, row.embed_text[row.start - row.end :])
    return IndexPoint(row.chunk_id, _NO_VECTOR if row.vector is None else decode(row.vector), payload, row.embed_text)


def _unindexed(connection: Connection, keys: dict[str, str]) -> Iterator[Finding]:
    for row in connection.execution_options(yield_per=PAGE).execute(_UNINDEXED, keys):
        held = "nothing" if row.indexed_version is None else f"version {row.indexed_version}"
        yield Finding(FindingKind.UNINDEXED, f"the index has {held} of version {row.version}", row.doc_id)


def _torn(texts: dict[uuid.UUID, str], chunks: Sequence[Any]) -> Iterator[Finding]:
    for chunk in chunks:
        span = texts[chunk.doc_id][chunk.start : chunk.end]
        if len(span) != chunk.end - chunk.start or not chunk.embed_text.endswith(span):
            detail = f"the chunk is not the span {chunk.start}..{chunk.end} of its document's text"
            yield Finding(FindingKind.MALFORMED, detail, chunk.doc_id, chunk.chunk_id)


_ROWS = text("""
SELECT d.doc_id, d.text_hash, d.title, d.language, d.media_type, d.metadata, d.acl, d.acl_inherited
FROM rag.documents d WHERE d.doc_id = ANY(:ids) AND d.deleted_at IS NULL
""")


def live_rows(connection: Connection, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Row[Any]]:
    """The live documents among these, by id."""
    return {row.doc_id: row for row in connection.execute(_ROWS, {"ids": list(ids)})}


_KNOWN = text("""
SELECT q.locator FROM rag.quarantine q
WHERE q.tenant = :tenant AND q.source = :source AND q.locator = ANY(:locators)
""")


def quarantined(connection: Connection, tenant: str, source: str, locators: Sequence[str]) -> set[str]:
    """Return which of these locators are in quarantine."""
    return set(connection.scalars(_KNOWN, {"tenant": tenant, "source": source, "locators": list(locators)}))


_REFUSED = text("""
SELECT l.locator, l.reason, l.skipped, q.id IS NOT NULL AS known FROM listing l
LEFT JOIN rag.quarantine q ON q.tenant = :tenant AND q.source = :source AND q.locator = l.locator
WHERE l.reason IS NOT NULL ORDER BY l.locator
""")


def refused(connection: Connection, tenant: str, source: str) -> Sequence[Row[Any]]:
    """Entries of the listing that the connector could not offer: `locator`, `reason`, `skipped`, `known`."""
    return connection.execute(_REFUSED, {"tenant": tenant, "source": source}).all()


def absent(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows that `deletion_store.find_deleted` queued, by locator: `locator`, `doc_id`."""
    return connection.execute(text("SELECT locator, doc_id FROM gone ORDER BY locator")).all()
