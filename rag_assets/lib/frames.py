"""Rows of a run as small Polars frames, page by page, so that a check needs the same memory for any corpus."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl

from rag_core.content.sources import Scope
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline, sample_store

Within = Sequence[uuid.UUID] | None
"""Only these documents; `None`: all."""
Frames = Callable[[Pipeline, Scope, Within], Iterator[pl.DataFrame]]


def document_frames(pipeline: Pipeline, scope: Scope, within: Within = None) -> Iterator[pl.DataFrame]:
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
    for rows in sample_store.documents(pipeline.store, scope, within):
        yield pl.DataFrame(rows, schema=schema, orient="row")


def chunk_frames(pipeline: Pipeline, scope: Scope, within: Within = None) -> Iterator[pl.DataFrame]:
    """Chunks of the documents that are pending for an index."""
    numbers = ("ordinal", "start", "end", "text_chars", "tokens", "embed_chars", "hash_bytes")
    schema = {"locator": pl.String, **dict.fromkeys(numbers, pl.Int64)}
    chunker, pending = pipeline.chunker.fingerprint, _pending(pipeline)
    for rows in sample_store.chunks(pipeline.store, scope, chunker, pending, within):
        yield pl.DataFrame(rows, schema=schema, orient="row")


def embedding_frames(pipeline: Pipeline, scope: Scope, within: Within = None) -> Iterator[pl.DataFrame]:
    """The vectors of those chunks, reduced to what the checks need."""
    embedder = pipeline.embedder.fingerprint
    expected = pipeline.embedder.dimensions
    chunker, pending = pipeline.chunker.fingerprint, _pending(pipeline, embedder)
    for rows in sample_store.vectors(pipeline.store, scope, chunker, embedder, pending, within):
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


def _pending(pipeline: Pipeline, embedder: str | None = None) -> list[str]:
    """Names of the generations with these fingerprints; one that no generation has when there is none."""
    with pipeline.store.engine.connect() as connection:
        rows = generations.write_targets(connection)
    chunker = pipeline.chunker.fingerprint
    return [row.name for row in rows if row.chunker == chunker and embedder in (None, row.embedder)] or [""]
