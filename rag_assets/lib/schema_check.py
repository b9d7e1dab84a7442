"""Pandera models as asset checks `schema`, evaluated for each round of a run before it goes to the index."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from rag_assets.lib.naming import asset_key, partitions
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import Scope
from rag_core.ingestion.pipeline import Pipeline, sample_store

if TYPE_CHECKING:
    import pandera.polars as pa
    import polars as pl

    from rag_assets.lib.frames import Frames

NAME = "schema"
SAMPLE = 10
_CHECKS = {
    "documents": ("DocumentRows", "document_frames"),
    "chunks": ("ChunkRows", "chunk_frames"),
    "embeddings": ("EmbeddingRows", "embedding_frames"),
}
"""Stage: a class of `rag_assets.lib.frames`, and the function of `rag_assets.lib.frames` whose rows it is about.

By name: Polars and Pandera take a second and 100 MB to load, which only a run needs."""


def schema_specs(config: SourceConfig) -> list[dg.AssetCheckSpec]:
    """A blocking check `schema` on each stage before the index."""
    return [
        dg.AssetCheckSpec(
            NAME,
            asset=asset_key(config, stage),
            description=f"Rows of this run, compared with the model `{model}`.",
            blocking=True,
            partitions_def=partitions(config),
        )
        for stage, (model, _) in _CHECKS.items()
    ]


@dataclass(slots=True)
class Validation:
    """Result of checking some rows: their number, violations, a sample of those, and whether rows were left out.

    `documents` says of each document with violations which the first is; `quarantined` counts their violations.
    """

    rows: int = 0
    failures: int = 0
    sampled: bool = False
    sample: list[dict[str, str]] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    quarantined: int = 0

    def add(self, other: Validation) -> None:
        """Add what was found in other rows."""
        self.rows += other.rows
        self.failures += other.failures
        self.sampled = self.sampled or other.sampled
        self.sample += other.sample[: SAMPLE - len(self.sample)]
        self.quarantined += other.quarantined


class SchemaChecks:
    """The checks of one run: `check` each round, then report the `results` of all rounds."""

    def __init__(self, pipeline: Pipeline, config: SourceConfig, scope: Scope, stages: Collection[str]) -> None:
        self._pipeline, self._config, self._scope = pipeline, config, scope
        self._found = {stage: Validation() for stage in _CHECKS if stage in stages}
        if self._found:
            # Beside the listing: the library takes a second to load, which the first documents would wait for.
            threading.Thread(target=_load, args=["DocumentRows"], name="pandera").start()

    def check(self, doc_ids: Sequence[uuid.UUID] | None) -> dict[str, str]:
        """Check the rows of these documents, of all pending ones for `None`; returns the first violation of each
        document that has any, by locator: the run quarantines these."""
        refused: dict[str, str] = {}
        for stage, total in self._found.items():
            model, frames = _CHECKS[stage]
            found = validate_frames(model, _frames(frames)(self._pipeline, self._scope, doc_ids))
            total.add(found)
            refused = {locator: f"{stage}: {violation}" for locator, violation in found.documents.items()} | refused
        return refused

    def results(self) -> Iterator[dg.AssetCheckResult]:
        """One result for each stage."""
        for stage, found in self._found.items():
            yield check_result(asset_key(self._config, stage), found)


def check_result(key: dg.AssetKey, found: Validation) -> dg.AssetCheckResult:
    """The result of a check `schema`."""
    metadata: dict[str, dg.MetadataValue] = {
        "rows": dg.MetadataValue.int(found.rows),
        "failures": dg.MetadataValue.int(found.failures),
        "sampled": dg.MetadataValue.bool(found.sampled),
    }
    if found.sample:
        metadata["sample"] = dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in found.sample])
    description = f"{found.failures} violations in {found.rows} rows" if found.failures else None
    passed = found.failures == found.quarantined
    if description and passed:
        description += "; their documents are in quarantine (SCHEMA_VIOLATION)"
    return dg.AssetCheckResult(
        asset_key=key, check_name=NAME, passed=passed, metadata=metadata, description=description
    )


def validate_frames(model: str, frames: Iterable[pl.DataFrame]) -> Validation:
    """Validate frame by frame. Keeps counts and a sample of failures, never a frame."""
    found = Validation()
    for frame in frames:
        failures = _failures(_load(model), frame)
        known = [failure for failure in failures if failure["locator"]]
        for failure in known:
            found.documents.setdefault(failure["locator"], f"{failure['column']} violates {failure['rule']}")
        found.add(Validation(frame.height, len(failures), sample=failures[:SAMPLE], quarantined=len(known)))
    found.sampled = found.rows >= sample_store.MAX_ROWS
    return found


def _load(name: str) -> type[pa.DataFrameModel]:
    from rag_assets.lib import frames

    model: type[pa.DataFrameModel] = getattr(frames, name)
    return model


def _frames(name: str) -> Frames:
    from rag_assets.lib import frames

    made: Frames = getattr(frames, name)
    return made


def _failures(model: type[pa.DataFrameModel], frame: pl.DataFrame) -> list[dict[str, str]]:
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
