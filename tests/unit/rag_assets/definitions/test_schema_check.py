from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import dagster as dg
import polars as pl
import pytest

from rag_assets.lib.schema_check import SAMPLE, check_result, validate_frames

DOCUMENT = {
    "locator": "a.md",
    "version": 1,
    "chars": 10,
    "replaced_share": 0.0,
    "hash_bytes": 32,
    "media_type": "text/markdown",
    "acl_entries": 1,
}
CHUNK = {
    "locator": "a.md",
    "ordinal": 0,
    "start": 0,
    "end": 10,
    "text_chars": 10,
    "tokens": 3,
    "embed_chars": 12,
    "hash_bytes": 32,
}
EMBEDDING = {"locator": "a.md", "ordinal": 0, "dimensions_off": 0, "finite": True, "norm": 1.0}


def validated(model: str, frames: Iterable[pl.DataFrame]) -> dg.AssetCheckResult:
    return check_result(dg.AssetKey("stage"), validate_frames(model, frames))


@pytest.mark.parametrize(
    ("model", "row"), [("DocumentRows", DOCUMENT), ("ChunkRows", CHUNK), ("EmbeddingRows", EMBEDDING)]
)
def test_good_rows_pass_and_no_rows_pass(model: str, row: dict[str, Any]) -> None:
    result = validated(model, [pl.DataFrame([row, row]), pl.DataFrame([row])])
    assert result.passed
    assert result.metadata["rows"].value == 3
    assert validated(model, []).passed


@pytest.mark.parametrize(
    ("model", "row", "change"),
    [
        ("DocumentRows", DOCUMENT, {"locator": ""}),
        ("DocumentRows", DOCUMENT, {"version": 0}),
        ("DocumentRows", DOCUMENT, {"chars": 0}),
        ("DocumentRows", DOCUMENT, {"replaced_share": 0.06}),
        ("DocumentRows", DOCUMENT, {"hash_bytes": 31}),
        ("DocumentRows", DOCUMENT, {"media_type": "markdown"}),
        ("DocumentRows", DOCUMENT, {"acl_entries": -1}),
        ("ChunkRows", CHUNK, {"ordinal": -1}),
        ("ChunkRows", CHUNK, {"start": 10}),
        ("ChunkRows", CHUNK, {"end": 11}),
        ("ChunkRows", CHUNK, {"tokens": 0}),
        ("ChunkRows", CHUNK, {"tokens": 513}),
        ("ChunkRows", CHUNK, {"embed_chars": 0}),
        ("ChunkRows", CHUNK, {"hash_bytes": 0}),
        ("EmbeddingRows", EMBEDDING, {"dimensions_off": -1}),
        ("EmbeddingRows", EMBEDDING, {"finite": False}),
        ("EmbeddingRows", EMBEDDING, {"norm": 0.0}),
        ("EmbeddingRows", EMBEDDING, {"norm": math.nan}),
        ("EmbeddingRows", EMBEDDING, {"norm": 1.2}),
    ],
)
def test_each_rule_catches_its_row(model: str, row: dict[str, Any], change: dict[str, Any]) -> None:
    bad = {**row, "locator": "bad.md", **change}
    result = validated(model, [pl.DataFrame([row, bad, row])])
    assert result.metadata["failures"].value >= 1
    # A document that is known goes to quarantine; a row without a locator fails the run.
    assert (result.passed, "SCHEMA_VIOLATION" in str(result.description)) == (bool(bad["locator"]),) * 2
    records = result.metadata["sample"].value.records
    assert records[0].data["locator"] == bad["locator"]


def test_the_sample_of_failures_is_bounded_and_the_count_is_not() -> None:
    frame = pl.DataFrame([{**DOCUMENT, "chars": 0}] * 50)
    result = validated("DocumentRows", [frame, frame])
    assert result.metadata["failures"].value == 100
    assert len(result.metadata["sample"].value.records) == SAMPLE
