"""All streams of one process: a thread for each, heartbeat, reconciler, canary, orderly shutdown.

Large pushes are a stream of their own, so that they delay no other push.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import Any

from rag_assets.config import files_fingerprint
from rag_assets.source_admin.worker import SourceOperationWorker
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.base import StreamSource
from rag_assets.stream_worker.canary import Canary
from rag_assets.stream_worker.consumer_loop import FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS, ConsumerLoop
from rag_assets.stream_worker.listed.observer import SourceObserver
from rag_assets.stream_worker.maintenance import maintain
from rag_assets.stream_worker.metrics import StreamMetrics, health_pages
from rag_assets.stream_worker.object_events import ObjectEvents, ObjectNotices, bucket_configs, has_queue
from rag_assets.stream_worker.streams import INBOX, Open, kafka_configs, openers
from rag_assets.stream_worker.webhooks import WebhookSender
from rag_core.browser_guard import BrowserGuard
from rag_core.content.parsing import open_parser
from rag_core.content.streams import store as streams
from rag_core.errors import ConfigError, RagError, Reason
from rag_core.governance.history import STREAM, HistoryRecorder, measure_memory
from rag_core.ids import fingerprint
from rag_core.ingestion.pipeline import EventApplier, Pipeline
from rag_core.ingestion.source_status import WORKER_ENTRY
from rag_core.logging import get_logger
from rag_core.settings import Settings
from rag_core.status_pages import StatusPages
from rag_tracing import start_tracing

log = get_logger(__name__)
_QUICK_WAIT_SECONDS = 0.2


class Worker:
    """A stream worker. `run` returns when `stop` was called and every stream has come to rest, or the time was over."""

    def __init__(self, settings: Settings, metrics: StreamMetrics | None = None) -> None:
        self.settings = settings
        self.metrics = metrics or StreamMetrics()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.loops: dict[str, ConsumerLoop] = {}
        self.ready = threading.Event()
        """Set once every stream has been opened."""
        self._stopping = threading.Event()
        self._beat = threading.Event()
        """Set when the next heartbeat is not to wait."""
        self._files = ""
        self._states: dict[str, str] = {}
        self._lags: dict[str, dict[str, float]] = {}
        self.pipeline: Pipeline | None = None
        """The pipeline that `run` has opened; `None` before."""
        self.observer: SourceObserver | None = None
        """The observer of listed sources, once `run` has opened it; `None` when the settings have none."""

    def stop(self) -> None:
        """Ask the worker to finish what it has in hand and end. Callable from a signal handler."""
        self._stopping.set()
        self._beat.set()

    def status(self) -> dict[str, Any]:
        """State and totals of each stream, for the heartbeat and /health."""
        # Copies, because the threads of streams that open late add to both.
        running = {
            name: {**loop.status(), **self._lags.get(name, {}), **loop.counts}
            for name, loop in dict(self.loops).items()
        }
        states = {name: {"state": state} for name, state in dict(self._states).items()}
        listed = {} if self.observer is None else {WORKER_ENTRY: self.observer.status()}
        return {**states, **running, **listed}

    def run(self) -> bool:
        """Work until `stop`. Returns whether all threads ended in time. Raises what opening the dependencies raises."""
        with ExitStack() as stack:
            self.pipeline = pipeline = stack.enter_context(Pipeline(self.settings))
            applier = self._applier(pipeline, stack)
            quick = self._quick_applier(pipeline, stack)
            self._record_presence(pipeline, stack)
            address = (self.settings.host, self.settings.stream_metrics_port, "RAG_STREAM_METRICS_PORT")
            http = StatusPages(
                *address, self.metrics.registry, health_pages(self.status), BrowserGuard.of(self.settings)
            )
            stack.callback(http.close)
            http.start()
            # Before the index is awaited: a source can be added while it is away.
            operations = SourceOperationWorker(pipeline.store, self.settings)
            threads = [self._thread("source operations", partial(operations.run, self._stopping))]
            sender = WebhookSender(pipeline.store, self.settings)
            threads += [
                self._thread(f"webhooks {work.__name__}", partial(work, self._stopping))
                for work in (sender.send, sender.announce)
            ]
            self._wait_for_generation(pipeline)
            sources = self._read_sources()
            opened = openers(pipeline.store, self.settings, sources, split=True)
            threads += [
                self._thread(name, partial(self._serve, name, opener, pipeline, quick if name == INBOX else applier))
                for name, opener in opened.items()
            ]
            buckets = self._read_buckets()
            queues = [one for one in buckets if has_queue(one)]
            threads += [self._thread(f"s3:{one.name}", self._object_events(one, pipeline)) for one in queues]
            if buckets:
                notices = ObjectNotices(buckets, pipeline, self._on_bucket)
                threads.append(self._thread("object notices", partial(notices.run, self._stopping)))
            log.info("started", worker=self.name, streams=sorted(opened))
            if self.settings.stream_canary_seconds:
                canary = Canary(pipeline.store, pipeline.index, self.settings, self.metrics)
                threads.append(self._thread("canary", partial(canary.run, self._stopping)))
            if self.settings.stream_sources:
                self.observer = SourceObserver(pipeline, on_wanted=self._beat.set)
                threads.append(self._thread("listed sources", partial(self.observer.run, self._stopping)))
            look_after = partial(self._maintain, pipeline, applier, fingerprint(repr([*sources, *buckets])))
            threads.append(self._thread("reconcile", look_after))
            self.ready.set()
            self._send_heartbeats(pipeline)
            return self._join(threads, pipeline)

    def _record_presence(self, pipeline: Pipeline, stack: ExitStack) -> None:
        if self.settings.history_days:
            recorder = HistoryRecorder(lambda: pipeline.store, service=STREAM, measure=measure_memory(STREAM))
            recorder.start()
            stack.callback(recorder.close)

    def _applier(self, pipeline: Pipeline, stack: ExitStack, **options: Any) -> EventApplier:
        applier = EventApplier(pipeline, **options)
        stack.callback(applier.close)
        return applier

    def _quick_applier(self, pipeline: Pipeline, stack: ExitStack) -> EventApplier:
        """For pushes that are soon done: it waits for no source, and gives no document long to be parsed."""
        limits = {"parser_timeout_seconds": self.settings.stream_quick_seconds}
        parser = open_parser(self.settings.model_copy(update=limits), defers_ocr=True)
        stack.callback(parser.close)
        defers = frozenset({Reason.PARSER_TIMEOUT})
        return self._applier(pipeline, stack, parser=parser, defers=defers, wait=_QUICK_WAIT_SECONDS)

    def _wait_for_generation(self, pipeline: Pipeline) -> None:
        """The index may come up after us; nothing can be searched before it does, so nothing is consumed either."""
        waiting = FIRST_WAIT_SECONDS
        while not self._stopping.is_set():
            try:
                pipeline.ensure_generation()
            except RagError as error:
                log.warning("waiting_for_index", reason=error.reason, problem=error.message)
                self._stopping.wait(waiting)
                waiting = min(waiting * 2, LAST_WAIT_SECONDS)
            else:
                return

    def _read_sources(self) -> list[Any]:
        try:
            return list(kafka_configs(self.settings, consume="stream"))
        except ConfigError as error:
            # The inbox must not stand still because a source file is wrong; Dagster and `rag source` say the same.
            self._states["sources"] = f"halted: {error.reason}"
            self.metrics.halted.labels("sources").set(1)
            log.error("sources_refused", reason=error.reason, problem=error.message)
            return []

    def _read_buckets(self) -> list[SourceConfig]:
        try:
            return bucket_configs(self.settings)
        except ConfigError:
            return []  # `_read_sources` has said so

    def _on_bucket(self, config: SourceConfig, state: str) -> None:
        self._states[f"s3:{config.name}"] = state

    def _object_events(self, config: SourceConfig, pipeline: Pipeline) -> Callable[[], None]:
        name = f"s3:{config.name}"
        self._states[name] = "starting"

        def on_state(state: str) -> None:
            self._states[name] = state

        def run() -> None:
            try:
                ObjectEvents(config, pipeline, on_state).run(self._stopping)
            except Exception:
                on_state("failed")
                log.exception("stream_failed", stream=name)
                self.stop()  # a defect ends in a restart by the supervisor, as one of a stream does

        return run

    def _serve(self, name: str, opener: Open, pipeline: Pipeline, applier: EventApplier) -> None:
        source = self._open(name, opener)
        if source is None:
            return
        consumer_loop = ConsumerLoop(source, applier, pipeline.store, self.settings, self.metrics)
        self.loops[name] = consumer_loop
        self._states.pop(name, None)
        try:
            consumer_loop.run(self._stopping)
        except Exception:
            # A defect must be seen and end in a restart by the supervisor, not in a stream that stands still.
            consumer_loop.state = "failed"
            log.exception("stream_failed", stream=name)
            self.stop()
        finally:
            source.close()

    def _open(self, name: str, opener: Open) -> StreamSource | None:
        waiting = FIRST_WAIT_SECONDS
        while not self._stopping.is_set():
            try:
                return opener()
            except RagError as error:
                self._states[name] = f"waiting: {error.reason}"
                log.warning("stream_not_opened", stream=name, reason=error.reason, problem=error.message)
                self._stopping.wait(waiting)
                waiting = min(waiting * 2, LAST_WAIT_SECONDS)
        return None

    def _send_heartbeats(self, pipeline: Pipeline) -> None:
        while not self._stopping.is_set():
            self._send_heartbeat(pipeline)
            self._beat.wait(self.settings.stream_heartbeat_seconds)
            self._beat.clear()

    def _maintain(self, pipeline: Pipeline, applier: EventApplier, sources: str) -> None:
        """Reconcile until stopped, on a thread of its own: it waits for sources, and heartbeats must not."""
        while not self._stopping.is_set():
            try:
                self.metrics.finished.inc(maintain(pipeline, applier, f"stream-reconcile-{time.time_ns()}"))
            except Exception:
                log.exception("reconcile_failed")
                self.stop()  # a defect ends in a restart by the supervisor, as one of a stream does
                return
            if self._sources_changed(sources):
                log.info("sources_changed")
                self.stop()  # the supervisor starts us again, with the sources as they are now
            self._stopping.wait(self.settings.stream_reconcile_seconds)

    def _sources_changed(self, before: str) -> bool:
        if (files := files_fingerprint(self.settings.effective_sources_dir)) == self._files:
            return False  # reading a thousand of them takes most of a second
        self._files = files
        try:
            now = [*kafka_configs(self.settings, consume="stream"), *bucket_configs(self.settings)]
            return fingerprint(repr(now)) != before
        except ConfigError:
            return False

    def _send_heartbeat(self, pipeline: Pipeline) -> None:
        try:
            for name, consumer_loop in list(self.loops.items()):
                lag = consumer_loop.source.lag()
                self._lags[name] = {"lag": lag.messages, "lag_seconds": round(lag.seconds, 1)}
                self.metrics.lag.labels(consumer_loop.source.name).set(lag.messages)
                self.metrics.lag_seconds.labels(consumer_loop.source.name).set(lag.seconds)
            with pipeline.store.engine.begin() as connection:
                streams.heartbeat(connection, self.name, self.status())
            self.metrics.beat.set_to_current_time()
        except RagError as error:
            log.warning("heartbeat_missed", reason=error.reason)

    def _join(self, threads: list[threading.Thread], pipeline: Pipeline) -> bool:
        deadline = time.monotonic() + self.settings.stream_drain_seconds
        for thread in threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        at_rest = not any(thread.is_alive() for thread in threads)
        try:
            with pipeline.store.engine.begin() as connection:
                streams.deregister(connection, self.name)
        except RagError as error:
            log.warning("deregistration_failed", reason=error.reason)
        log.info("stopped", at_rest=at_rest)
        return at_rest

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._restart_on_defect, args=(name, target), name=name, daemon=True)
        thread.start()
        return thread

    def _restart_on_defect(self, name: str, target: Callable[[], None]) -> None:
        """A defect must be seen and end in a restart by the supervisor, not in work that is never done."""
        try:
            target()
        except Exception:
            log.exception("thread_failed", thread=name)
            self.stop()


def run_until_signal(settings: Settings) -> tuple[bool, dict[str, Any]]:
    """Run a worker until SIGTERM or SIGINT. Returns whether it ended in time, and the state of each stream."""
    settings.require_production_secrets()
    start_tracing("stream", content=settings.trace_content)
    worker = Worker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    with reporting(worker):
        return worker.run(), worker.status()


def reporting(worker: Worker) -> AbstractContextManager[object]:
    """Reports to Dagster beside the work, when this process knows a Dagster instance and is to report."""
    if not worker.settings.stream_report_seconds or not os.environ.get("DAGSTER_HOME"):
        return nullcontext()
    from rag_assets.stream_worker.report import Reporter

    return Reporter(worker)
