"""What a pipeline process opens once."""

from __future__ import annotations

from pathlib import Path

from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings


def test_transforms_are_closed_with_the_pipeline_and_opened_again_at_the_next_use(tmp_path: Path) -> None:
    with Pipeline(Settings.load(home=tmp_path)) as pipeline:
        first = pipeline.transform_registry
        assert pipeline.transform_registry is first
    assert pipeline.transform_registry is not first
