"""The job that drains every stream once."""

import dagster as dg

from rag_assets.lib.failures import typed_failures
from rag_assets.stream_worker.drain import drain
from rag_assets.stream_worker.report import stream_key
from rag_core.ingestion.pipeline import Pipeline

JOB = "stream_drain"


@dg.op(description="Applies what waits in the streams now, with the functions that the worker uses.")
def drain_streams(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """One bounded pass; a materialization for each stream that had something."""
    with typed_failures():
        counts = drain(pipeline)
    for name, count in counts.items():
        if count:
            metadata: dict[str, str | int] = {"applied": count, "by": "drain run"}
            context.log_event(dg.AssetMaterialization(stream_key(name), metadata=metadata))


@dg.job(name=JOB, executor_def=dg.in_process_executor, tags={"rag/source": "streams"})
def stream_drain() -> None:
    """Drain every stream once."""
    drain_streams()
