"""One stream: poll, apply, repeat what may work later, isolate and give up what never will, stop when all is wrong.

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

from sqlalchemy import Connection

from rag_assets.stream import letters
from rag_assets.stream.base import Message, StreamSource
from rag_assets.stream.metrics import StreamMetrics
from rag_core.errors import Conflict, DeadlineExceeded, Exhausted, RagError, Reason, Unavailable
from rag_core.logging import get_logger
from rag_core.pipeline import Event, EventApplier, Settled
from rag_core.settings import Settings
from rag_core.store import streams
from rag_core.store.engine import Store
from rag_core.store.streams import DeadLetter

log = get_logger(__name__)
POLL_SECONDS = 1.0
FIRST_WAIT_SECONDS = 0.1
LAST_WAIT_SECONDS = 10.0
HALTING = frozenset({Reason.POISON_RATE, Reason.OFFSET_OUT_OF_RANGE})
"""Reasons that only an operator can remove."""


class Pump:
    """Moves one stream through the pipeline, on the thread that calls `run`."""

    def __init__(
        self, source: StreamSource, applier: EventApplier, store: Store, settings: Settings, metrics: StreamMetrics
    ) -> None:
        self.source = source
        self.state = "starting"
        self.counts: Counter[str] = Counter()
        """Outcomes since the start."""
        self._applier = applier
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._failures: Counter[str] = Counter()
        self._recent: deque[bool] = deque(maxlen=settings.stream_poison_window)
        self._batches = 0

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set; the batch in progress is finished or left wholly to the next worker."""
        waiting = FIRST_WAIT_SECONDS
        batch: list[Message] = []
        while not stopping.is_set():
            try:
                batch = batch or self.source.poll(POLL_SECONDS)
                self.state = "running"
                if batch:
                    self.process(batch)
                batch, waiting = [], FIRST_WAIT_SECONDS
            except RagError as error:
                if error.reason in HALTING:
                    self._halt(error, stopping)
                    return
                self._note_retry(error)
                stopping.wait(waiting)
                waiting = min(waiting * 2, LAST_WAIT_SECONDS)
        self.state = "stopped"

    def process(self, batch: Sequence[Message]) -> None:
        """Apply one micro-batch. Raises `Unavailable` and its kin when it should be tried again as it is."""
        started = time.monotonic()
        for _, group in groupby(sorted(batch, key=_of_source), key=_of_source):
            self._apply(list(group))
        self._metrics.batch.labels(self.source.name).observe(len(batch))
        self._metrics.batch_seconds.labels(self.source.name).observe(time.monotonic() - started)

    def _apply(self, messages: list[Message]) -> None:
        try:
            outcomes = self._apply_together(messages)
        except (Unavailable, DeadlineExceeded, Exhausted, Conflict):
            raise
        except Exception as error:
            if len(messages) > 1:
                log.warning("batch_isolated", stream=self.source.name, messages=len(messages))
                for message in messages:
                    self._apply([message])
                return
            outcomes = self._failed(messages[0], error)
        self._note(messages, outcomes)
        self.source.done(messages, outcomes)

    def _apply_together(self, messages: list[Message]) -> dict[str, str]:
        unusable = [message for message in messages if message.event is None]
        events = [message.event for message in messages if message.event is not None]
        self._batches += 1
        run_id = f"stream-{self.source.name}-{self._batches}-{time.time_ns()}"
        dead = [letters.letter(one, letters.DECODE, _failure(one), 1) for one in unusable]
        outcomes = {one.position.token: "dead" for one in unusable}

        def settle(connection: Connection, settled: Settled) -> None:
            refused = letters.of_refused(messages, settled.refused)
            self._give_up(connection, run_id, dead, refused, len(messages))
            self.source.record(connection, messages, {**outcomes, **settled.outcomes})

        if not events:
            with self._store.engine.begin() as connection:
                settle(connection, Settled({}, ()))
            return outcomes
        applied = self._applier.apply(messages[0].source, run_id, events, settle)
        self.counts.update(applied.counts)
        return {**outcomes, **applied.settled.outcomes}

    def _give_up(
        self,
        connection: Connection,
        run_id: str,
        undecoded: Sequence[DeadLetter],
        refused: Sequence[DeadLetter],
        messages: int,
    ) -> None:
        """Record dead letters, after looking whether the stream as a whole is broken: then nothing is recorded."""
        dead = [*undecoded, *refused]
        self._check_poison(len(dead), messages)
        if dead:
            self.source.publish_dead(dead)
            streams.bury(connection, dead)
            letters.quarantine_all(connection, run_id, undecoded)

    def _check_poison(self, dead: int, messages: int) -> None:
        if not self.source.stops_on_poison:
            return
        recent = deque(self._recent, maxlen=self._settings.stream_poison_window)
        recent.extend([True] * dead + [False] * (messages - dead))
        if sum(recent) > self._settings.stream_poison_fraction * self._settings.stream_poison_window:
            raise Conflict(
                Reason.POISON_RATE,
                f"{self.source.name}: {sum(recent)} of the last {len(recent)} messages cannot be used; stopped",
            )
        self._recent = recent

    def _failed(self, message: Message, error: Exception) -> dict[str, str]:
        """An event that fails alone for a reason that is not the moment's: tried again, then given up on."""
        token = message.position.token
        self._failures[token] += 1
        attempts = self._failures[token]
        log.error("event_failed", stream=self.source.name, position=token, attempt=attempts, exc_info=error)
        if attempts < self._settings.stream_attempts:
            raise Unavailable(Reason.EVENT_FAILED, f"{token}: failed {attempts} times; trying again") from error
        del self._failures[token]
        reason = error if isinstance(error, RagError) else _defect()
        dead = [letters.letter(message, "apply", reason, attempts)]
        with self._store.engine.begin() as connection:
            self._give_up(connection, f"stream-{self.source.name}-failed", dead, [], 1)
            self.source.record(connection, [message], {token: "dead"})
        return {token: "dead"}

    def _note(self, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        name, now = self.source.name, datetime.now(UTC)
        for message in messages:
            outcome = outcomes.get(message.position.token, "applied")
            self.counts[outcome] += 1
            self._metrics.events.labels(name, outcome).inc()
            if outcome in ("applied", "deleted") and message.event is not None:
                self._metrics.latency.labels(name).observe(_age(message.event, now))
            elif outcome == "dead":
                reason = message.failure.reason if message.failure is not None else "REFUSED"
                self._metrics.dead.labels(name, reason).inc()

    def _note_retry(self, error: RagError) -> None:
        self.state = f"waiting: {error.reason}"
        self._metrics.retries.labels(self.source.name, error.reason).inc()
        log.warning("stream_waits", stream=self.source.name, reason=error.reason, problem=error.message)

    def _halt(self, error: RagError, stopping: threading.Event) -> None:
        self.state = f"halted: {error.reason}"
        self._metrics.halted.labels(self.source.name).set(1)
        log.error("stream_halted", stream=self.source.name, reason=error.reason, problem=error.message)
        stopping.wait()


def _of_source(message: Message) -> tuple[str, str]:
    return message.source.tenant, message.source.name


def _failure(message: Message) -> RagError:
    return message.failure if message.failure is not None else _defect()


def _defect() -> RagError:
    return RagError(Reason.EVENT_FAILED, "applying the change failed; the log has the details")


def _age(event: Event, now: datetime) -> float:
    """Seconds since the event; a clock that runs ahead gives 0, never less."""
    return max(0.0, (now - event.event_at).total_seconds())
