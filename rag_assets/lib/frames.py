"""Rows of a run as small Polars frames, page by page, so that a check needs the same memory for any corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection, TextClause, text

from rag_core.generations import store as generations
from rag_core.pipeline import Pipeline
from rag_core.sources import Scope

PAGE = 2000
MAX_ROWS = 20_000
"""Rows a check reads; the pipeline itself has checked all of them."""

Frames = Callable[[Pipeline, Scope], Iterator[pl.DataFrame]]

_DOCUMENTS = text("""
SELECT locator, version, length(btrim(text, E' \\t\\r\\n')) AS chars,
       (length(text) - length(replace(text, U&'\\FFFD', '')))::float8 / greatest(length(text), 1) AS replaced_share,
       length(content_hash) AS hash_bytes, media_type,
       CASE WHEN acl IS NULL THEN 0 ELSE coalesce(nullif(cardinality(acl), 0), -1) END AS acl_entries
FROM rag.documents
WHERE tenant = :tenant AND source = :source AND shard = :shard AND run_id = :run_id AND deleted_at IS NULL LIMIT :rows
""")
# What an index generation with these fingerprints would be given next; of a generation that is not there: everything.
_PENDING = """
FROM rag.documents d JOIN rag.chunks c ON c.doc_id = d.doc_id AND c.chunker = :chunker
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
  AND EXISTS (SELECT FROM unnest(CAST(:generations AS text[])) AS n (name)
              CROSS JOIN LATERAL rag.pending_index(n.name) p WHERE p.doc_id = d.doc_id)
"""
_CHUNKS = text(f"""
SELECT d.locator, c.ordinal, c.start, c."end", length(d.text) AS text_chars, c.tokens,
       length(c.embed_text) AS embed_chars, length(c.text_hash) AS hash_bytes {_PENDING} LIMIT :rows
""")
_VECTORS = text(f"""
SELECT p.locator, p.ordinal, e.vector FROM (SELECT d.locator, c.ordinal, c.text_hash {_PENDING} LIMIT :rows) AS p
JOIN rag.embeddings e ON e.text_hash = p.text_hash AND e.embedder = :embedder
""")  # noqa: S608


def document_frames(pipeline: Pipeline, scope: Scope) -> Iterator[pl.DataFrame]:
    """Documents the run has written."""
    schema = {
        "locator": pl.String,
        "version": pl.Int64,
        "chars": pl.Int64,
        "replaced_share": pl.Float64,
        "hash_bytes": pl.Int64,
        "media_type": pl.String,
        "acl_entries": pl.Int64,
    }
    for rows in _pages(pipeline, _DOCUMENTS, {**_shard(scope), "run_id": scope.run_id}):
        yield pl.DataFrame(rows, schema=schema, orient="row")


def chunk_frames(pipeline: Pipeline, scope: Scope) -> Iterator[pl.DataFrame]:
    """Chunks of the documents that are pending for an index."""
    numbers = ("ordinal", "start", "end", "text_chars", "tokens", "embed_chars", "hash_bytes")
    schema = {"locator": pl.String, **dict.fromkeys(numbers, pl.Int64)}
    for rows in _pages(pipeline, _CHUNKS, _pending(pipeline, scope)):
        yield pl.DataFrame(rows, schema=schema, orient="row")


def embedding_frames(pipeline: Pipeline, scope: Scope) -> Iterator[pl.DataFrame]:
    """The vectors of those chunks, reduced to what the checks need."""
    embedder = pipeline.embedder.fingerprint
    expected = pipeline.embedder.dimensions
    for rows in _pages(pipeline, _VECTORS, _pending(pipeline, scope, embedder)):
        vectors = [np.frombuffer(row[2][: len(row[2]) // 4 * 4], "<f4") for row in rows]
        yield pl.DataFrame(
            {
                "locator": [row[0] for row in rows],
                "ordinal": [row[1] for row in rows],
                "dimensions_off": [len(vector) - expected for vector in vectors],
                "finite": [bool(np.isfinite(vector).all()) for vector in vectors],
                "norm": [float(np.linalg.norm(vector)) for vector in vectors],
            },
            schema_overrides={"ordinal": pl.Int64, "dimensions_off": pl.Int64},
        )


def _pages(pipeline: Pipeline, statement: TextClause, parameters: dict[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
    options = {"stream_results": True, "yield_per": PAGE}
    with pipeline.store.engine.connect().execution_options(**options) as connection:
        for page in connection.execute(statement, {**parameters, "rows": MAX_ROWS}).partitions():
            yield [tuple(row) for row in page]


def _shard(scope: Scope) -> dict[str, Any]:
    return {"tenant": scope.source.tenant, "source": scope.source.name, "shard": scope.shard}


def _pending(pipeline: Pipeline, scope: Scope, embedder: str | None = None) -> dict[str, Any]:
    chunker = pipeline.chunker.fingerprint
    with pipeline.store.engine.connect() as connection:
        names = _generations(connection, chunker, embedder) or [""]
    named = {"embedder": embedder} if embedder else {}
    return {**_shard(scope), "chunker": chunker, "generations": names, **named}


def _generations(connection: Connection, chunker: str, embedder: str | None) -> list[str]:
    rows = generations.write_targets(connection)
    return [row.name for row in rows if row.chunker == chunker and embedder in (None, row.embedder)]
