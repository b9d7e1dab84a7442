from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from rag_assets.components.document_source import DocumentSource
from rag_assets.config import load_sources
from rag_assets.lib.naming import job_name
from rag_assets.resources import PIPELINE
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings
from tests.support.models import model_dir, model_home

__all__ = ["model_dir", "model_home"]


class Chain:
    """One filesystem source over a real database, a real index and the fake embedder, run in this process."""

    def __init__(self, settings: Settings, root: Path, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.settings, self.root, self.pipeline, self.instance = settings, root, pipeline, instance
        self.attributes: dict[str, Any] = {
            "name": "handbook",
            "tenant": "acme",
            "acl": ["everyone"],
            "options": {"kind": "folder", "root": str(root)},
        }

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def definitions(self) -> dg.Definitions:
        directory = self.settings.effective_sources_dir
        directory.mkdir(parents=True, exist_ok=True)
        document = {"type": "rag_assets.components.DocumentSource", "attributes": self.attributes}
        (directory / "handbook.yaml").write_text(yaml.safe_dump(document))
        (config,) = load_sources(directory)
        self.config = config
        resources = dg.Definitions(resources={PIPELINE: dg.ResourceDefinition.hardcoded_resource(self.pipeline)})
        return dg.Definitions.merge(DocumentSource(config).build_defs(), resources)

    def run(self, *, partition: str | None = None) -> dg.ExecuteInProcessResult:
        defs = self.definitions()
        job = defs.resolve_job_def(job_name(self.config))
        return job.execute_in_process(instance=self.instance, partition_key=partition, raise_on_error=False)

    def metadata(self, result: dg.ExecuteInProcessResult, stage: str) -> dict[str, Any]:
        (event,) = self.materializations(result, stage)
        return {name: value.value for name, value in event.metadata.items()}

    def materializations(self, result: dg.ExecuteInProcessResult, stage: str) -> list[dg.AssetMaterialization]:
        made = result.asset_materializations_for_node("handbook__rounds")
        return [event for event in made if event.asset_key == dg.AssetKey(["handbook", stage])]

    def checks(self, result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
        return {f"{e.asset_key.path[-1]}/{e.check_name}": e for e in result.get_asset_check_evaluations()}


@pytest.fixture
def prepared(settings: Settings, model_dir: Path) -> Settings:
    """Settings whose home already has the tokenizer."""
    settings.home.mkdir(parents=True)
    settings.model_dir.symlink_to(model_dir)
    return settings


@pytest.fixture
def chain(prepared: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    monkeypatch.setattr(
        "rag_assets.defs.sources.assets.RETRY", dg.RetryPolicy(max_retries=1)
    )  # the same, without its delays
    root = tmp_path / "docs"
    root.mkdir()
    with Pipeline(prepared) as pipeline, dg.DagsterInstance.ephemeral() as instance:
        yield Chain(prepared, root, pipeline, instance)
