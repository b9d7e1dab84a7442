"""The one Dagster resource: everything a run needs, opened on first use and closed when the run ends."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from rag_core.pipeline import Pipeline
from rag_core.settings import Settings

PIPELINE = "pipeline"


def pipeline_resource(settings: Settings) -> dg.ResourceDefinition:
    """A resource that provides a `Pipeline` built from `settings`, which were read at the entry of this process.

    It has no configuration of its own, so that no setting and no secret is ever shown by the UI or kept with a run.
    """

    @dg.resource(description="Database, index, embedder, parser and chunker of this installation.")
    def pipeline(_context: dg.InitResourceContext) -> Iterator[Pipeline]:
        with Pipeline(settings) as opened:
            yield opened

    return pipeline
