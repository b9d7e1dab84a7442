"""The consumer loop of one stream: poll, apply, retry, isolate, dead-letter, stop when too much fails.

The next batch is only polled when the last one is finished, so a slow index or embedder slows the reader down and
nothing piles up in memory.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from rag_assets.stream_worker import dead_letters as letters
from rag_assets.stream_worker.base import SourceKey, StreamMessage, StreamSource
from rag_assets.stream_worker.metrics import StreamMetrics
from rag_core.content.streams import DeadLetter
from rag_core.content.streams import store as streams
from rag_core.database import Store
from rag_core.errors import Conflict, DeadlineExceeded, Exhausted, PermissionDenied, RagError, Reason, Unavailable
from rag_core.ingestion.pipeline import BatchResult, Event, EventApplier, SlowEvent
from rag_core.logging import get_logger
from rag_core.settings import Settings
from rag_tracing import Span, consume, exemplar, openinference

log = get_logger(__name__)
POLL_SECONDS = 1.0
FIRST_WAIT_SECONDS = 0.1
LAST_WAIT_SECONDS = 10.0
HALTING = frozenset({Reason.POISON_RATE, Reason.OFFSET_OUT_OF_RANGE, Reason.TOPIC_RECREATED})
"""Reason codes of failures that only an operator can resolve."""
CLOSED = frozenset({Reason.TENANT_SUSPENDED, Reason.TENANT_ERASED})
"""Reason codes of changes of a tenant that is closed now."""


class ConsumerLoop:
    """Consumes one stream through the pipeline, on the thread that calls `run`."""

    def __init__(
        self, source: StreamSource, applier: EventApplier, store: Store, settings: Settings, metrics: StreamMetrics
    ) -> None:
        self.source = source
        self.counts: Counter[str] = Counter()
        """Outcomes since the start."""
        self._applier = applier
        self._rows = store
        self._settings = settings
        self._metrics = metrics
        for gauge in (metrics.halted, metrics.halted_sources):
            gauge.labels(source.name).set(0)  # a series from the start: what is absent could also be unread
        self._state = "starting"
        self._failures: Counter[str] = Counter()
        self._recent: dict[SourceKey, deque[bool]] = {}
        """For each of the last messages of a source, true when it could not be used."""
        self._batches = 0
        self._stored: dict[str, str] = {}
        """Outcomes of the batch in hand whose rows are committed, by token: they stand, whatever fails later."""
        self._finished: set[str] = set()
        """Tokens of the batch in hand that are through."""

    @property
    def state(self) -> str:
        """`running`, `waiting: <reason>` or `halted: <reason>`, as it is now."""
        if self._state != "running":
            return self._state
        problem = self.source.problem()
        return "running" if problem is None else f"waiting: {problem.reason}"

    @state.setter
    def state(self, state: str) -> None:
        self._state = state

    @property
    def halted_sources(self) -> list[dict[str, str]]:
        """The sources that wait for an operator while the stream continues: tenant, source and reason of each."""
        halted = sorted(self.source.halted_sources())
        return [{"tenant": tenant, "source": source, "reason": Reason.POISON_RATE} for tenant, source in halted]

    def status(self) -> dict[str, Any]:
        """State and halted sources, for the heartbeat."""
        return {"state": self.state, "halted_sources": self.halted_sources}

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set; the batch in progress is finished or left wholly to the next worker."""
        waiting = FIRST_WAIT_SECONDS
        batch: list[StreamMessage] = []
        while not stopping.is_set():
            try:
                batch = batch or self.source.poll(POLL_SECONDS)
                if batch:
                    self.process(batch)
                self.state = "running"
                batch, waiting = [], FIRST_WAIT_SECONDS
            except RagError as error:
                if error.reason in HALTING:
                    self._halt(error, stopping)
                    return
                self._note_retry(error)
                # A stream that could not be read is read the moment it can be; only work is put off for longer.
                stopping.wait(waiting if batch else min(waiting, POLL_SECONDS))
                waiting = min(waiting * 2, LAST_WAIT_SECONDS)
        self.state = "stopped"

    def process(self, batch: Sequence[StreamMessage]) -> None:
        """Apply one micro-batch. Raises `Unavailable`, `DeadlineExceeded`, `Exhausted` or `Conflict` when it should be
        tried again as it is; what is through by then is not done again."""
        started = time.monotonic()
        tokens = {message.position.token for message in batch}
        self._finished &= tokens
        self._stored = {token: outcome for token, outcome in self._stored.items() if token in tokens}
        for messages in self._groups(batch):
            self._apply_group(messages)
        self._finished.clear()
        self._metrics.batch.labels(self.source.name).observe(len(batch))
        self._metrics.batch_seconds.labels(self.source.name).observe(time.monotonic() - started)

    def _groups(self, batch: Sequence[StreamMessage]) -> list[list[StreamMessage]]:
        """The rest of a batch by source, the smallest first: it waits for none that takes longer."""
        left = [message for message in batch if message.position.token not in self._finished]
        groups = [list(group) for _, group in groupby(sorted(left, key=_of_source), key=_of_source)]
        return sorted(groups, key=lambda group: sum(message.size for message in group))

    def _apply_group(self, messages: list[StreamMessage]) -> None:
        """Apply what a batch has of one source. Where a stream has others, they do not wait for its troubles."""
        tenant, source = _of_source(messages[0])
        try:
            with self._traced(messages):
                self._apply(messages)
        except SlowEvent:
            log.info("messages_deferred", stream=self.source.name, source=source, messages=len(messages))
            self.source.defer(messages)
        except PermissionDenied:  # `CLOSED`
            # Of a suspended tenant nothing is lost: what it pushed waits, and other tenants do not.
            if not self.source.postpone(tenant, source):
                raise
        except Conflict as error:
            if error.reason is Reason.SOURCE_BUSY and self.source.postpone(tenant, source):
                return
            if error.reason is not Reason.POISON_RATE or not self.source.hold(tenant, source):
                raise
            self._metrics.halted_sources.labels(self.source.name).set(len(self.halted_sources))
            log.error("source_halted", stream=self.source.name, tenant=tenant, source=source, problem=error.message)

    def _traced(self, messages: Sequence[StreamMessage]) -> Span:
        """The part of these messages' traces that happens here."""
        stream = self.source.name
        known = {"messaging.system": stream.partition(":")[0], "messaging.operation.type": "process"}
        counted: dict[str, str | int] = {**known, **openinference.CHAIN, "messaging.batch.message_count": len(messages)}
        return consume(f"process {stream}", [message.traceparent for message in messages], counted)

    def _apply(self, messages: list[StreamMessage]) -> None:
        try:
            outcomes = self._apply_together(messages)
        except (Unavailable, DeadlineExceeded, Exhausted, Conflict, SlowEvent):
            raise
        except Exception as error:
            if isinstance(error, PermissionDenied) and error.reason in CLOSED:
                raise
            if len(messages) > 1:
                log.warning("batch_isolated", stream=self.source.name, messages=len(messages))
                for message in messages:
                    self._apply([message])
                return
            outcomes = self._failed(messages[0], error)
        self._note(messages, outcomes)
        self.source.done(messages, outcomes)
        self._finished.update(outcomes)

    def _apply_together(self, messages: list[StreamMessage]) -> dict[str, str]:
        new = [message for message in messages if message.position.token not in self._stored]
        if new:
            self._store(new)
        elif events := [message.event for message in messages if message.event is not None]:
            self._applier.reindex(messages[0].source, self._run_id(), events)
        return {message.position.token: self._stored[message.position.token] for message in messages}

    def _run_id(self) -> str:
        self._batches += 1
        return f"stream-{self.source.name}-{self._batches}-{time.time_ns()}"

    def _store(self, messages: list[StreamMessage]) -> None:
        unusable = [message for message in messages if message.event is None]
        events = [message.event for message in messages if message.event is not None]
        run_id = self._run_id()
        dead = [letters.dead_letter(one, letters.DECODE, _failure(one), 1) for one in unusable]
        outcomes = {one.position.token: "dead" for one in unusable}

        def settle(connection: Connection, settled: BatchResult) -> None:
            refused = letters.dead_letters_of(messages, settled.refused)
            self._give_up(connection, run_id, dead, refused, messages)
            self.source.record(connection, messages, {**outcomes, **settled.outcomes})

        def stored(settled: BatchResult) -> None:
            self._stored |= outcomes | settled.outcomes

        if not events:
            with self._rows.engine.begin() as connection:
                settle(connection, BatchResult({}, ()))
            stored(BatchResult({}, ()))
            return
        applied = self._applier.apply(messages[0].source, run_id, events, settle, stored)
        self.counts.update(applied.counts)

    def _give_up(
        self,
        connection: Connection,
        run_id: str,
        undecoded: Sequence[DeadLetter],
        refused: Sequence[DeadLetter],
        messages: Sequence[StreamMessage],
    ) -> None:
        """Record dead letters, after checking whether the source as a whole is broken: then nothing is recorded."""
        dead = [*undecoded, *refused]
        self._check_failure_rate(_of_source(messages[0]), len(dead), len(messages))
        if dead:
            self.source.publish_dead_letters(dead)
            streams.add_dead_letters(connection, dead)
            letters.quarantine_undecoded(connection, run_id, undecoded)

    def _check_failure_rate(self, key: SourceKey, dead: int, messages: int) -> None:
        window = self._settings.stream_poison_window
        recent = deque(self._recent.get(key, ()), maxlen=window)
        recent.extend([True] * dead + [False] * (messages - dead))
        if sum(recent) > self._settings.stream_poison_fraction * window:
            raise Conflict(
                Reason.POISON_RATE,
                f"{self.source.name}: {sum(recent)} of the last {len(recent)} messages of source {key[1]} cannot be"
                " used; stopped before them",
            )
        if any(recent):
            self._recent[key] = recent
        else:
            self._recent.pop(key, None)

    def _failed(self, message: StreamMessage, error: Exception) -> dict[str, str]:
        """An event that fails alone for a reason that is not the moment's: tried again, then given up on."""
        token = message.position.token
        self._failures[token] += 1
        attempts = self._failures[token]
        log.error("event_failed", stream=self.source.name, position=token, attempt=attempts, exc_info=error)
        if attempts < self._settings.stream_attempts:
            raise Unavailable(Reason.EVENT_FAILED, f"{token}: failed {attempts} times; trying again") from error
        del self._failures[token]
        if token in self._stored:
            # Its rows and the progress past it are committed: it is no dead letter, the reconciler finishes it.
            log.error("document_pending", stream=self.source.name, position=token, problem=type(error).__name__)
            return {token: "pending"}
        reason = error if isinstance(error, RagError) else _defect()
        dead = [letters.dead_letter(message, "apply", reason, attempts)]
        with self._rows.engine.begin() as connection:
            self._give_up(connection, f"stream-{self.source.name}-failed", dead, [], [message])
            self.source.record(connection, [message], {token: "dead"})
        return {token: "dead"}

    def _note(self, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        name, now = self.source.name, datetime.now(UTC)
        for message in messages:
            outcome = outcomes.get(message.position.token, "applied")
            self.counts[outcome] += 1
            self._metrics.events.labels(name, outcome).inc()
            if outcome in ("applied", "deleted") and message.event is not None:
                of_message = exemplar(message.traceparent) if message.traceparent else None
                self._metrics.latency.labels(name).observe(_age(message.event, now), of_message)
            elif outcome == "dead":
                reason = message.failure.reason if message.failure is not None else "REFUSED"
                self._metrics.dead.labels(name, reason).inc()

    def _note_retry(self, error: RagError) -> None:
        self.state = f"waiting: {error.reason}"
        self._metrics.retries.labels(self.source.name, error.reason).inc()
        log.warning("stream_retry_scheduled", stream=self.source.name, reason=error.reason, problem=error.message)

    def _halt(self, error: RagError, stopping: threading.Event) -> None:
        self.state = f"halted: {error.reason}"
        self._metrics.halted.labels(self.source.name).set(1)
        log.error("stream_halted", stream=self.source.name, reason=error.reason, problem=error.message)
        stopping.wait()


def _of_source(message: StreamMessage) -> SourceKey:
    return message.source.tenant, message.source.name


def _failure(message: StreamMessage) -> RagError:
    return message.failure if message.failure is not None else _defect()


def _defect() -> RagError:
    return RagError(Reason.EVENT_FAILED, "applying the change failed; the log has the details")


def _age(event: Event, now: datetime) -> float:
    """Seconds since the event; a clock that runs ahead gives 0, never less."""
    return max(0.0, (now - event.event_at).total_seconds())
