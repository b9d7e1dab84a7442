"""Event notifications of buckets, applied in seconds: look at the named objects, and run the pipeline for these.

A notification is a hint. What is stored comes from the bucket as it is when the notification is read, so that order,
repeats and losses in the queue do no harm: the next listing of the source is the truth in any case.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from rag_assets.config import read_sources
from rag_assets.connectors import connector_context, fetch_policy, open_connector
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.s3.options import S3Options
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import Connector, FetchedItem, Listing, Problem, Removed, Scope, SourceItem
from rag_core.content.sources import store as sources
from rag_core.content.streams import notice_store as notices
from rag_core.errors import Conflict, RagError, Reason, Unavailable
from rag_core.http_client import FetchPolicy
from rag_core.ids import document_id, shard_of
from rag_core.ingestion.pipeline import Pipeline, run_pipeline
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)
FIRST_WAIT_SECONDS = 1.0
LAST_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.5
_AT_ONCE = 200
_SOURCES = 4
"""Sources that are looked at beside each other, so that none waits for another's large objects."""
_CLAIMED_SECONDS = 600.0
LookUp = Callable[[Sequence[str]], Iterable[SourceItem | Problem | Removed]]


def bucket_configs(settings: Settings) -> list[SourceConfig]:
    """The enabled sources that are buckets. Raises `ConfigError`."""
    found = read_sources(settings.effective_sources_dir).sources
    return [config for config in found if isinstance(config.options, S3Options) and config.enabled]


def has_queue(config: SourceConfig) -> bool:
    """Return whether a queue announces the changes of a source."""
    return isinstance(config.options, S3Options) and config.options.events is not None


class NamedItems:
    """A connector whose changes are the items that were named. Implements `Connector` and `Incremental`."""

    shares_listings = False

    def __init__(self, connector: Connector, look_up: LookUp, locators: Sequence[str]) -> None:
        self._connector, self._look_up, self._locators = connector, look_up, locators

    def list_changes(self, cursor: Mapping[str, Any]) -> NamedChanges:
        return NamedChanges(self._look_up, self._locators)

    def list_items(self) -> Listing:
        return self._connector.list_items()

    def fetch(self, item: SourceItem) -> FetchedItem:
        return self._connector.fetch(item)

    def version_tag(self) -> str:
        return self._connector.version_tag()

    def check(self) -> dict[str, Any]:
        return self._connector.check()


class NamedChanges:
    """Implements `Changes`. It has no cursor: the one of the last listing stays."""

    version_tag, rows, cursor = "", None, None

    def __init__(self, look_up: LookUp, locators: Sequence[str]) -> None:
        self._look_up, self._locators = look_up, locators
        self.complete = False
        self.error: str | None = "the named items were not looked at"

    def __iter__(self) -> Iterator[SourceItem | Problem | Removed]:
        yield from self._look_up(self._locators)
        self.complete, self.error = True, None


def apply_named(pipeline: Pipeline, config: SourceConfig, locators: Sequence[str]) -> None:
    """Bring these items of a source up to date; searchable, or gone, when this returns.

    Raises what `run_pipeline` raises, `Unavailable` when the source could not be asked, and `Conflict` (`SOURCE_BUSY`)
    while deletions of the source are held: until an operator decides, every run lists all of it.
    """
    source, settings = config.source, pipeline.settings
    with pipeline.store.engine.connect() as connection:
        if sources.held_deletions(connection, source.tenant, source.name):
            raise Conflict(Reason.SOURCE_BUSY, f"deletions of source {source.name} wait for an operator; trying again")
    by_shard: dict[int, list[str]] = defaultdict(list)
    for locator in locators:
        shard = shard_of(document_id(source.tenant, source.name, locator), source.shards) if source.shards > 1 else 0
        by_shard[shard].append(locator)
    with open_connector(config, connector_context(config, settings, pipeline.store)) as connector:
        look_up: LookUp = connector.look_up  # type: ignore[attr-defined]
        for shard, named in sorted(by_shard.items()):
            scope = Scope(source, f"events-{source.name}-{time.time_ns()}", shard)
            results = run_pipeline(pipeline, scope, connector=NamedItems(connector, look_up, named), changes=True)
            documents = results["documents"]
            if documents.problem == Reason.LISTING_INCOMPLETE:
                raise Unavailable(Reason.SOURCE_UNAVAILABLE, documents.message or "the source could not be asked")


class ObjectEvents:
    """Reads the queue of one source until it is to stop."""

    def __init__(self, config: SourceConfig, pipeline: Pipeline, on_state: Callable[[str], None]) -> None:
        self._config, self._pipeline, self._on_state = config, pipeline, on_state

    def run(self, stopping: threading.Event) -> None:
        """Messages are deleted once what they name is searchable; until then the queue hands them out again."""
        from rag_assets.connectors.s3.events import EventQueue

        options, waiting = self._config.options, FIRST_WAIT_SECONDS
        assert isinstance(options, S3Options)  # noqa: S101
        policy = self._policy(stopping)
        if policy is None:
            return
        with closing(EventQueue(options, policy)) as queue:
            while not stopping.is_set():
                try:
                    notices = queue.receive()
                    if notices.locators:
                        apply_named(self._pipeline, self._config, notices.locators)
                    if notices.receipts:
                        queue.forget(notices)
                        log.info("object_events_applied", source=self._config.name, objects=len(notices.locators))
                    self._on_state("running")
                    waiting = FIRST_WAIT_SECONDS
                except RagError as error:
                    busy = isinstance(error, Conflict) and error.reason is Reason.SOURCE_BUSY
                    self._on_state("running" if busy else f"waiting: {error.reason}")
                    log.warning("object_events_postponed", source=self._config.name, reason=error.reason,
                                problem=error.message)  # fmt: skip
                    stopping.wait(FIRST_WAIT_SECONDS if busy else waiting)
                    waiting = min(waiting * 2, LAST_WAIT_SECONDS)
                except Exception:  # a defect met by one source must not end the streams of all
                    self._on_state(f"waiting: {Reason.INTERNAL}")
                    log.exception("object_events_failed", source=self._config.name)
                    stopping.wait(waiting)
                    waiting = min(waiting * 2, LAST_WAIT_SECONDS)

    def _policy(self, stopping: threading.Event) -> FetchPolicy | None:
        """Return what the source may call, once the allow-lists that limit it name it; `None` when it is to stop."""
        while not stopping.is_set():
            try:
                return fetch_policy(self._config, self._pipeline.settings)
            except RagError as error:
                self._on_state(f"waiting: {error.reason}")
                log.warning("object_events_postponed", source=self._config.name, reason=error.reason,
                            problem=error.message)  # fmt: skip
                stopping.wait(LAST_WAIT_SECONDS)
        return None


class ObjectNotices:
    """Reads the objects that notifications to the API named, until it is to stop."""

    def __init__(
        self, configs: Iterable[SourceConfig], pipeline: Pipeline, on_state: Callable[[SourceConfig, str], None]
    ) -> None:
        self._configs = {(config.tenant, config.name): config for config in configs}
        self._pipeline, self._on_state = pipeline, on_state
        self._busy: dict[tuple[str, str], Future[None]] = {}

    def run(self, stopping: threading.Event) -> None:
        """A row is deleted once its object is searchable, or gone; until then it is tried again."""
        engine = self._pipeline.store.engine
        with ThreadPoolExecutor(_SOURCES, thread_name_prefix="object-notices") as pool:
            while not stopping.is_set():
                self._busy = {place: work for place, work in self._busy.items() if not work.done()}
                try:
                    with engine.connect() as connection:
                        waiting = notices.waiting_sources(connection)
                except Exception:  # the database is away, which the streams say too
                    log.warning("object_notices_postponed", exc_info=True)
                    stopping.wait(LAST_WAIT_SECONDS / 10)
                    continue
                for place in waiting:
                    if place in self._configs and place not in self._busy and len(self._busy) < _SOURCES:
                        self._busy[place] = pool.submit(self._apply, self._configs[place])
                stopping.wait(_POLL_SECONDS)

    def _apply(self, config: SourceConfig) -> None:
        engine, place = self._pipeline.store.engine, (config.tenant, config.name)
        try:
            with engine.begin() as connection:
                taken = notices.claim(connection, *place, limit=_AT_ONCE, seconds=_CLAIMED_SECONDS)
            state = self._look_at(config, taken)
            with engine.begin() as connection:
                if state == "running":
                    notices.forget(connection, *place, taken)
                else:
                    notices.postpone(connection, *place, taken, most=LAST_WAIT_SECONDS)
            self._on_state(config, state)
        except Exception:  # what was claimed comes back by itself
            log.exception("object_notices_failed", source=config.name)

    def _look_at(self, config: SourceConfig, taken: Sequence[notices.Notice]) -> str:
        assert isinstance(config.options, S3Options)  # noqa: S101
        locators = [names.encode(one.key) for one in taken if one.bucket == config.options.bucket]
        if len(locators) < len(taken):
            log.warning("object_notices_of_another_bucket", source=config.name, objects=len(taken) - len(locators))
        try:
            if locators:
                apply_named(self._pipeline, config, locators)
                log.info("object_notices_applied", source=config.name, objects=len(locators))
        except RagError as error:
            log.warning("object_notices_postponed", source=config.name, reason=error.reason, problem=error.message)
            return f"waiting: {error.reason}"
        return "running"
