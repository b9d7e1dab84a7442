"""A bounded pass over the streams: drain what is there now, then end. For runs without a worker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing

import stamina

from rag_assets.stream_worker.base import StreamMessage, StreamSource
from rag_assets.stream_worker.consumer_loop import POLL_SECONDS, ConsumerLoop
from rag_assets.stream_worker.maintenance import maintain
from rag_assets.stream_worker.metrics import StreamMetrics
from rag_assets.stream_worker.streams import kafka_configs, openers
from rag_core.errors import Conflict, Reason, Unavailable
from rag_core.ingestion.pipeline import EventApplier, Pipeline, Progress
from rag_core.settings import Settings

JOIN_SECONDS = 60.0
"""Longest wait for a consumer group to hand out its partitions."""
ATTEMPTS = 5


def drain_all(
    settings: Settings, progress: Progress | None = None, *, names: Iterable[str] | None = None
) -> dict[str, int]:
    """Apply what waits in the streams (`inbox`, `kafka:<source>`), all of them or those named; returns how many each.

    Streams that a worker consumes at the same time are skipped. Raises as `ConsumerLoop.process`, and `Conflict` for a
    stream that only an operator can restart.
    """
    with Pipeline(settings) as pipeline:
        return drain(pipeline, progress, names=names)


def drain(
    pipeline: Pipeline, progress: Progress | None = None, *, names: Iterable[str] | None = None
) -> dict[str, int]:
    """As `drain_all`, with a pipeline and streams that are already open."""
    settings, store = pipeline.settings, pipeline.store
    pipeline.ensure_generation()
    applier = EventApplier(pipeline)
    wanted = None if names is None else set(names)
    counts: dict[str, int] = {}
    try:
        for name, opener in openers(store, settings, kafka_configs(settings)).items():
            if wanted is not None and name not in wanted:
                continue
            with closing(opener()) as source:
                counts[name] = _drain_one(
                    ConsumerLoop(source, applier, store, settings, StreamMetrics()), source, progress
                )
        maintain(pipeline, applier, f"stream-drain-{time.time_ns()}")
    finally:
        applier.close()
    return counts


def _drain_one(consumer_loop: ConsumerLoop, source: StreamSource, progress: Progress | None) -> int:
    done, deadline = 0, time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        batch = source.poll(POLL_SECONDS)
        if batch:
            _patiently(consumer_loop, batch)
            done += len(batch)
            deadline = time.monotonic() + JOIN_SECONDS
            if progress is not None:
                progress(done, None)
        elif source.at_end():
            break
    if halted := consumer_loop.halted_sources:
        names = ", ".join(one["source"] for one in halted)
        why = f"{source.name}: too large a share of the changes of {names} cannot be used; see docs/runbook.md"
        raise Conflict(Reason.POISON_RATE, why)
    if not source.at_end() and (problem := source.problem()) is not None:
        raise problem
    return done


def _patiently(consumer_loop: ConsumerLoop, batch: Sequence[StreamMessage]) -> None:
    for attempt in stamina.retry_context(on=Unavailable, attempts=ATTEMPTS, wait_max=5.0):
        with attempt:
            consumer_loop.process(batch)
