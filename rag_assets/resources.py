"""The one Dagster resource: everything a run needs, opened on first use and closed when the run ends."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from rag_core.database import Store, open_store
from rag_core.ingestion.pipeline import Pipeline
from rag_core.lazy import locked_property
from rag_core.settings import Settings
from rag_tracing import INTERNAL, NOTHING, Span, entry, openinference, start_tracing

PIPELINE = "pipeline"
TRACE_TAG = "traceparent"
"""Tag of a run that is part of the trace of its requester."""


def pipeline_resource(settings: Settings) -> dg.ResourceDefinition:
    """A resource that provides a `Pipeline` built from `settings`, which were read at the entry of this process.

    It has no configuration of its own, so that no setting and no secret is ever shown by the UI or kept with a run.
    """

    ticks = _TickStore(settings)

    @dg.resource(description="Database, index, embedder, parser and chunker of this installation.")
    def pipeline(context: dg.InitResourceContext) -> Iterator[Pipeline]:
        start_tracing("dagster", content=settings.trace_content)
        shared = ticks.get if context.run is None else None
        # Dagster runs the steps between the two halves of this function, in this thread (`in_process_executor`).
        with _run_span(context.run), Pipeline(settings, shared_store=shared) as opened:
            yield opened

    return pipeline


class _TickStore:
    """The database of all ticks of a process: sensors would open it, and compare its schema, some thirty times a
    minute."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self) -> Store:
        return self._store

    @locked_property
    def _store(self) -> Store:
        return open_store(self._settings)


def _run_span(run: dg.DagsterRun | None) -> Span:
    """The run as a trace, or as a part of the one that its tag names. Resources of a test belong to no run."""
    if run is None:
        return NOTHING
    known = {"rag.run_id": run.run_id, "rag.job": run.job_name, "rag.partition": run.tags.get("dagster/partition")}
    headers = {TRACE_TAG: run.tags[TRACE_TAG]} if TRACE_TAG in run.tags else None
    found = {name: value for name, value in known.items() if value} | openinference.CHAIN
    return entry(f"run {run.job_name}", headers, found, INTERNAL)
