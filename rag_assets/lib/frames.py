"""Rows of a run as small Polars frames, page by page, so that a check needs the same memory for any corpus, and
the Pandera models of these rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from rag_core.content.sources import Scope
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline, sample_store

MAX_REPLACED_SHARE = 0.05
"""Share of U+FFFD above which a text was decoded wrongly."""
NORM_TOLERANCE = 0.01


class DocumentRows(pa.DataFrameModel):
    """Documents a run has written."""

    locator: str = pa.Field(str_length={"min_value": 1})
    version: int = pa.Field(ge=1)
    chars: int = pa.Field(ge=1, description="characters of text that are not white space at the ends")
    replaced_share: float = pa.Field(le=MAX_REPLACED_SHARE)
    hash_bytes: int = pa.Field(eq=32)
    media_type: str = pa.Field(str_matches=r"^[a-z0-9.+-]+/[a-z0-9.+-]+")
    acl_entries: int = pa.Field(ge=0, description="-1 stands for an ACL without entries, which no one could match")


class ChunkRows(pa.DataFrameModel):
    """Chunks of pending documents of an index generation."""

    locator: str = pa.Field(str_length={"min_value": 1})
    ordinal: int = pa.Field(ge=0)
    start: int = pa.Field(ge=0)
    end: int
    text_chars: int
    tokens: int = pa.Field(ge=1, le=512)
    embed_chars: int = pa.Field(ge=1)
    hash_bytes: int = pa.Field(eq=32)

    @pa.dataframe_check
    @classmethod
    def span_lies_within_the_text(cls, data: PolarsData) -> pl.LazyFrame:
        """`0 <= start < end <= length of the text`."""
        inside = (pl.col("start") < pl.col("end")) & (pl.col("end") <= pl.col("text_chars"))
        return data.lazyframe.select(inside)


class EmbeddingRows(pa.DataFrameModel):
    """Vectors of those chunks. `dimensions_off` is the difference from what the embedder makes."""

    locator: str
    ordinal: int
    dimensions_off: int = pa.Field(eq=0)
    finite: bool = pa.Field(eq=True)
    norm: float = pa.Field(ge=1 - NORM_TOLERANCE, le=1 + NORM_TOLERANCE)


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
