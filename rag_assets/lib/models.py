"""Pandera models of the rows of each stage, over the frames of `rag_assets.lib.frames`.

The pipeline refuses such rows before it commits them; these models are the visible proof in Dagster, and they see what
was written by anything else (a restore, a migration, an older release).
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

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
