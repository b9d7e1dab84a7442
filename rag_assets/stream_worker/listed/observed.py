"""One listed source of a worker: when it is looked at next, whether it has changed, and bringing its changes in."""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_assets.connectors import connector_context, open_connector
from rag_assets.source_config import SensorConfig, SourceConfig
from rag_assets.version_tags import unavailable
from rag_core.content.documents import store as documents
from rag_core.content.sources import Scope
from rag_core.content.sources import store as sources
from rag_core.errors import Conflict, RagError, Reason
from rag_core.ids import fingerprint
from rag_core.ingestion.pipeline import RunRequired, SmallChanges, StageDependencies, StageResult, run_pipeline
from rag_core.ingestion.source_status import WORKER_SUFFIX, ObservableSource, RunState, SourceName
from rag_core.logging import get_logger

log = get_logger(__name__)
_LISTING_SECONDS = 30.0
_BUSY_SECONDS = 2.0
_FIRST_RETRY_SECONDS = 5.0
_TRIES = 2
"""Looks that must fail before a run is wanted, which then fails where operators see it."""
_LOGGED = ("added", "updated", "deleted", "quarantined")
CHANGES = "changes"
"""The reason for a run of a source of which more has changed than is brought in here."""
_LONGEST_SECONDS = 300.0
"""Longest time between two looks at a source that fails, is large or reports what changes, unless its interval is
longer."""
_LEFT_SECONDS = 3600.0
_LOOK_SHARE = 20
"""A look at a source takes at most this part of the time: a large tree is looked at less often."""
_SERVER_REST = 5
"""A server that reports changes all the time rests for so many listings after each look."""
_JITTER = 0.1
_REPORTED = 100
"""Looks that are remembered for a report, which a Dagster that is away does not take."""
_LISTS_BY_READING = frozenset({"site"})


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """The result of one look at a source that had changed, for Dagster."""

    scope: Scope
    results: Mapping[str, StageResult]


@dataclass(slots=True)
class ObservedSource:
    """A source and what this worker knows of it. One thread at a time works on it (`working`)."""

    config: SourceConfig
    newest_run: ObservableSource
    due: float = 0.0
    rest_until: float = 0.0
    """A source that changes all the time is brought in half of the time, and a server is listed less than that."""
    changed: bool = False
    """Its folder or server reported a change since the last look began."""
    reports_all: bool = False
    """Its folder reports every change."""
    unchanged: bool = False
    """The last look found nothing new."""
    working: bool = False
    failures: int = 0
    applied: str = ""
    """The version tag whose state is searchable, as far as known here, with the configuration `applied_config`."""
    applied_config: SourceConfig | None = None
    tag: str = ""
    """The version tag of the last look."""
    look_seconds: float = 0.0
    reason: str = ""
    """The reason for a run: a reason code, or `CHANGES`."""
    seen_run: ObservableSource | None = None
    """The newest run when the last look began, if it had ended."""
    failing_run: str | None = None
    """The newest run when the source began to fail here."""
    failed_for: tuple[str, str] | None = None
    """The version tag and reason of the last look before a run failed: another run would only say the same."""
    left_until: float = 0.0
    """Until when it is left to runs, because they succeed where this process fails: it has no secret, no way there."""
    brought_in: deque[BroughtIn] = field(default_factory=lambda: deque(maxlen=_REPORTED))

    @property
    def name(self) -> SourceName:
        return self.config.tenant, self.config.name

    @property
    def wanted(self) -> str | None:
        """The version tag that a run is wanted for: what cannot be brought in here, and a failure that is over.

        None while a run is under way, until the source was looked at after it, and when a run has failed for the same.
        """
        needed = self.reason == CHANGES or self.failures >= _TRIES or self.newest_run.failed
        told = self.failures > 0 and self.failed_for == (self.tag, self.reason)
        return self.tag if self.tag and needed and not told and self.seen_run == self.newest_run else None

    def is_due(self, now: float) -> bool:
        """Return whether to look at it now."""
        return not self.working and (self.due <= now or (self.changed and self.rest_until <= now))

    @property
    def next_look(self) -> float:
        """The time of the next look, unless it reports a change before."""
        return min(self.due, self.rest_until) if self.changed else self.due

    def configure(self, config: SourceConfig, newest_run: ObservableSource) -> bool:
        """Take the configuration and the newest run as they are now; returns whether it is another."""
        if config == self.config and newest_run == self.newest_run:
            return False
        if config != self.config:
            self.config, self.changed, self.left_until = config, True, 0.0
        if newest_run != self.newest_run:
            if newest_run.failed:
                self.failed_for = self.tag, self.reason
            self.newest_run, self.due = newest_run, 0.0
        return True

    def look(self, dependencies: StageDependencies) -> None:
        """Look at the source, bring in what has changed, and set when it is due again. Raises nothing of a source."""
        began, self.changed = time.monotonic(), False
        newest, self.seen_run = self.newest_run, None
        try:
            self.reason = self._bring_in(dependencies)
        except RagError as error:
            if isinstance(error, Conflict) and error.reason is Reason.SOURCE_BUSY:
                # A run has it.
                self.due = time.monotonic() + max(_BUSY_SECONDS, self.look_seconds * _LOOK_SHARE)
                return
            log.warning("source_not_brought_in", source=self.config.name, reason=error.reason, problem=error.message)
            self.reason = error.reason
        except Exception:
            log.exception("source_not_brought_in", source=self.config.name)
            self.reason = Reason.INTERNAL
        self._count_failure(newest)
        self.seen_run = None if newest.under_way else newest
        now = time.monotonic()
        listing = 0.0 if self.config.options.kind == "folder" else self.look_seconds
        self.rest_until = now + max(now - began, listing * _SERVER_REST)
        self.due = now + self._pause() * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311

    def _pause(self) -> float:
        sensor = self.config.sensor or SensorConfig()
        interval = float(sensor.interval_seconds)
        longest = max(interval, _LONGEST_SECONDS)
        if self.failures:
            return min(_FIRST_RETRY_SECONDS * 2.0 ** (self.failures - 1), longest)
        if self.reports_all and self.unchanged and "interval_seconds" not in sensor.model_fields_set:
            return longest  # a report may be lost
        return max(interval, min(self.look_seconds * _LOOK_SHARE, longest))

    def _count_failure(self, newest: ObservableSource) -> None:
        if self.reason in ("", CHANGES):
            self.failures, self.failing_run = 0, None
            return
        self.failures += 1
        if self.failing_run is None:
            self.failing_run = newest.run_id
        elif newest.run_id != self.failing_run and newest.run_state == RunState.SUCCEEDED:
            self.left_until = time.monotonic() + _LEFT_SECONDS

    def _bring_in(self, dependencies: StageDependencies) -> str:
        """Return why a run is needed, or nothing."""
        self.unchanged = False
        config, settings, store = self.config, dependencies.settings, dependencies.store
        try:
            # Services that say only what changed are asked from where the last listing ended.
            remembered = connector_context(config, settings, store, remember=False)
            with open_connector(config, remembered) as connector:
                began = time.monotonic()
                self.tag = fingerprint(connector.version_tag())
                self.look_seconds = time.monotonic() - began
        except Exception as error:
            self.tag = unavailable(error)  # the run that is wanted for it says why
            raise
        if self.tag == self.applied and config == self.applied_config:
            self.unchanged = True
            return ""
        with store.engine.connect() as connection:
            current = sources.is_current(connection, config.source)
            self.applied = sources.applied_tag(connection, *self.name) or ""
            stored = documents.live(connection, *self.name)
        if self.tag == self.applied and current:
            self.applied_config = config
            return ""
        if config.options.kind in _LISTS_BY_READING and not 0 < stored <= settings.stream_source_items:
            return CHANGES
        scope = Scope(config.source, f"{uuid.uuid4().hex[:12]}{WORKER_SUFFIX}")
        most = SmallChanges(settings.stream_source_items, settings.stream_source_bytes, _LISTING_SECONDS)
        with open_connector(config, connector_context(config, settings, store)) as connector:
            try:
                results = run_pipeline(dependencies, scope, connector=connector, changes=True, only=most)
            except RunRequired:
                return CHANGES
        self.brought_in.append(BroughtIn(scope, results))
        reason = self._settle(results)
        if not reason:
            self.applied_config = config
        return reason

    def _settle(self, results: Mapping[str, StageResult]) -> str:
        problem = next((result.problem for result in results.values() if result.problem), None)
        listed = results["documents"].version_tag
        counts = {name: results["documents"].counts.get(name, 0) for name in _LOGGED}
        log.info("source_brought_in", source=self.config.name, problem=problem, **counts)
        if problem:
            return str(problem)
        if any(result.pending for result in results.values()):
            return "pending"
        self.applied = self.tag if listed is None else fingerprint(listed)
        return ""
