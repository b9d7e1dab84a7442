"""The Dagster component of one source: its YAML in, its assets, checks, job, sensor and schedule out."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

from rag_assets.components.kafka_source import kafka_definitions
from rag_assets.defs.sources.assets import source_assets
from rag_assets.defs.sources.checks import run_checks
from rag_assets.defs.sources.jobs import sync_job
from rag_assets.defs.sources.schedules import reconcile_schedule
from rag_assets.defs.sources.sensors import change_switch
from rag_assets.defs.sources.specs import upstream_spec
from rag_assets.lib.warned import without_warnings
from rag_assets.source_config import SourceConfig


class DocumentSource(dg.Component):
    """A configured source of documents, as the asset chain `documents -> chunks -> embeddings -> index`."""

    def __init__(self, config: SourceConfig, file: Path | None = None) -> None:
        self.config, self.file = config, file

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        # The same model reads the files of RAG_SOURCES_DIR, so one YAML means the same in both folders.
        return SourceConfig

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        return cls(attributes if isinstance(attributes, SourceConfig) else SourceConfig.model_validate({}))

    @without_warnings  # partitioned checks are called preview; the version is pinned
    def build_defs(self, context: dg.ComponentLoadContext | None = None) -> dg.Definitions:
        config = self.config
        if config.options.is_stream:
            return kafka_definitions(config, self.file)
        job = sync_job(config)
        sensor, schedule = change_switch(config, job), reconcile_schedule(config, job)
        return dg.Definitions(
            assets=[upstream_spec(config, self.file), source_assets(config, self.file)],
            asset_checks=[run_checks(config)],
            jobs=[job],
            sensors=[sensor] if sensor else [],
            schedules=[schedule] if schedule else [],
        )
