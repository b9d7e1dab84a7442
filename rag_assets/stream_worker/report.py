"""Stream results as runless materializations: a summary per stream and interval, never an event per document.

And in return what Dagster did, as metrics of the worker."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

import dagster as dg

from rag_assets.stream_worker.run_gauges import read_runs
from rag_core.logging import get_logger

if TYPE_CHECKING:
    from rag_assets.stream_worker.worker import Worker

log = get_logger(__name__)
PREFIX = "stream"


def stream_key(name: str) -> dg.AssetKey:
    """The asset of a stream: `stream/inbox`, `stream/<source>`."""
    return dg.AssetKey([PREFIX, name.removeprefix("kafka:").replace("-", "_")])


class Reporter:
    """Reports from a thread of its own, so that a slow Dagster never slows a stream down."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._seen: dict[str, Counter[str]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _run(self) -> None:
        instance: dg.DagsterInstance | None = None
        while True:
            last = self._stopping.wait(self._worker.settings.stream_report_seconds)
            try:
                instance = instance or dg.DagsterInstance.get()
                self.report(instance)
                read_runs(instance, self._worker.metrics)
            except Exception as error:
                # Dagster's own state is not ours: the next summary carries what this one would have.
                log.warning("report_postponed", problem=type(error).__name__)
            if last:
                break
        if instance is not None:
            instance.dispose()

    def report(self, instance: dg.DagsterInstance) -> int:
        """One materialization for each stream that did something since the last; returns how many."""
        reported = 0
        for name, consumer_loop in list(self._worker.pumps.items()):
            now = Counter(consumer_loop.counts)
            new = now - self._seen.get(name, Counter())
            if not new:
                continue
            metadata: dict[str, str | int] = {
                "state": consumer_loop.state,
                "lag": consumer_loop.source.lag().messages,
                **new,
            }
            instance.report_runless_asset_event(dg.AssetMaterialization(stream_key(name), metadata=metadata))
            self._seen[name] = now
            reported += 1
        return reported
