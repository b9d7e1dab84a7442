"""A Pandera model as an asset check."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.frames import Frames
from rag_assets.lib.naming import asset_key, partitions, scope_of
from rag_assets.source_config import SourceConfig
from rag_core.pipeline import Pipeline, sample_store

if TYPE_CHECKING:
    import pandera.polars as pa

SAMPLE = 10


def schema_check(
    config: SourceConfig, stage: str, model: str, frames: Frames, *, blocking: bool = True
) -> dg.AssetChecksDefinition:
    """A check `schema` on a stage: every row of `frames` satisfies the class `model` of `rag_assets.lib.models`."""

    @dg.asset_check(
        asset=asset_key(config, stage),
        name="schema",
        blocking=blocking,
        description=f"Rows of this run, compared with the model `{model}`.",
        partitions_def=partitions(config),
        retry_policy=RETRY,
    )
    def schema(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
        with typed_failures():
            return validate_frames(model, frames(pipeline, scope_of(config, context)))

    return schema


def validate_frames(model: str, frames: Iterable[pl.DataFrame]) -> dg.AssetCheckResult:
    """Validate frame by frame. Keeps counts and a sample of failures, never a frame."""
    rows = failures = 0
    sample: list[dict[str, str]] = []
    for frame in frames:
        rows += frame.height
        found = _failures(_load(model), frame)
        failures += len(found)
        sample += found[: SAMPLE - len(sample)]
    metadata: dict[str, dg.MetadataValue] = {
        "rows": dg.MetadataValue.int(rows),
        "failures": dg.MetadataValue.int(failures),
        "sampled": dg.MetadataValue.bool(rows >= sample_store.MAX_ROWS),
    }
    if sample:
        metadata["sample"] = dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in sample])
    description = f"{failures} violations in {rows} rows" if failures else None
    return dg.AssetCheckResult(passed=failures == 0, metadata=metadata, description=description)


def _load(name: str) -> "type[pa.DataFrameModel]":
    # Pandera brings pandas along, about a second in every run worker, and most runs have no row to check.
    from rag_assets.lib import models

    model: type[pa.DataFrameModel] = getattr(models, name)
    return model


def _failures(model: "type[pa.DataFrameModel]", frame: pl.DataFrame) -> list[dict[str, str]]:
    from pandera.errors import SchemaErrors

    try:
        model.validate(frame, lazy=True)
    except SchemaErrors as error:
        return [_explain(frame, case) for case in error.failure_cases.iter_rows(named=True)]
    return []


def _explain(frame: pl.DataFrame, case: dict[str, object]) -> dict[str, str]:
    index = case.get("index")
    locator = frame["locator"][index] if isinstance(index, int) else ""
    return {
        "locator": str(locator),
        "column": str(case["column"]),
        "rule": str(case["check"]),
        "value": _shown(case["failure_case"]),
    }


def _shown(value: object) -> str:
    """A value for the event log, which is kept and shown to everybody: of text only how much there is."""
    return f"{len(value)} characters" if isinstance(value, str) else str(value)[:100]
