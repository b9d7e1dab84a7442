"""Finish accepted documents that are still pending, and clean up what streams leave behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from rag_assets.stream_worker import dead_letters as letters
from rag_assets.stream_worker.base import StreamMessage
from rag_assets.stream_worker.streams import kafka_configs
from rag_assets.tenants import continue_erasures
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import Source
from rag_core.content.sources import store as sources_store
from rag_core.content.streams import inbox_store as inbox
from rag_core.content.streams import notice_store
from rag_core.content.streams import store as streams
from rag_core.database import Store
from rag_core.errors import RagError, Unavailable
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.generations import status_store
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import BatchResult, EventApplier, Pipeline
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)
STREAM_KINDS = ("push", "topic", "kafka")  # the last is the name that a release before wrote
_REDRIVES = 64


def pending(store: Store) -> dict[tuple[str, str], tuple[Source, int]]:
    """Event sources with stored documents that are pending for a generation (not those a build has to bring), and how
    many. What a suspended tenant pushed waits."""
    found: dict[tuple[str, str], tuple[Source, int]] = {}
    with store.engine.connect() as connection:
        closed = tenants.closed(connection)
        for generation in generations.write_targets(connection):
            if generation.not_reproducible:
                continue
            for source, documents in status_store.pending_of_kinds(connection, generation, STREAM_KINDS):
                if source.tenant in closed:
                    continue
                _, before = found.get((source.tenant, source.name), (source, 0))
                found[source.tenant, source.name] = source, before + documents
    return found


def count_pending(store: Store) -> int:
    """Count the documents of event sources that are stored and not indexed."""
    return sum(documents for _, documents in pending(store).values())


def finish_pending(store: Store, applier: EventApplier, run_id: str) -> int:
    """Bring documents of event sources that are stored and not indexed through the later stages; returns how many.

    A worker that died, or an index that was away, leaves them. Those that a worker has in hand now are waited for.
    """
    done = 0
    for source, _ in pending(store).values():
        try:
            done += applier.finish(source, run_id)["index"]
        except RagError as error:  # one source's trouble is not another's
            log.warning("reconcile_postponed", source=source.name, reason=error.reason, problem=error.message)
    if done:
        log.warning("reconciled", documents=done)
    return done


def redrive(store: Store, applier: EventApplier, run_id: str, configured: Iterable[Source] = ()) -> int:
    """Apply again the dead letters whose quarantine entry an operator has redriven; returns how many were taken.

    `configured` are the sources that have a file: metadata and quality rules are there and not in the database.
    """
    with store.engine.connect() as connection:
        known = [*sources_store.of_kinds(connection, STREAM_KINDS), *configured]
    sources = {f"{source.tenant}/{source.name}": source for source in known}
    taken, last = 0, 0
    while rows := _redriven(store, list(sources), last):
        taken, last = taken + len(rows), rows[-1].id
        for row in rows:
            message = letters.redriven_event(row, sources[f"{row.tenant}/{row.source}"])
            _apply_again(applier, run_id, message, int(row.id))
    return taken


def _redriven(store: Store, names: Sequence[str], after: int) -> Sequence[Any]:
    with store.engine.connect() as connection:
        return streams.redriven_dead_letters(connection, names, _REDRIVES, after=after)


def _apply_again(applier: EventApplier, run_id: str, message: StreamMessage, letter_id: int) -> None:
    source, event = message.source, message.event
    assert event is not None  # noqa: S101

    def settle(connection: Connection, settled: BatchResult) -> None:
        if not settled.refused:
            streams.delete_dead_letters(connection, [letter_id])
            # Also when a newer version is stored: then the operator has nothing to do either.
            quarantine.clear(connection, source.tenant, source.name, [event.locator], quarantine.BEFORE_STORE)

    try:
        applier.apply(source, run_id, [event], settle)
    except Unavailable:
        raise
    except RagError as error:  # the next letter may be fine
        log.warning("redrive_failed", letter=letter_id, reason=error.reason, problem=error.message)


def clean_up(store: Store, settings: Settings) -> None:
    """Forget applied pushes, and dead letters that nothing in the quarantine stands for any more."""
    with store.engine.begin() as connection:
        inbox.purge(connection, hours=settings.inbox_retention_hours)
        notice_store.purge(connection)
        streams.purge_dead_letters(connection, days=settings.event_retention_days)


def maintain(pipeline: Pipeline, applier: EventApplier, run_id: str) -> int:
    """Run every maintenance task. One that fails is logged and tried at the next run; the others do not wait for it."""
    store, done = pipeline.store, Counter[str]()

    def finish() -> None:
        pipeline.ensure_generation()
        done["documents"] = finish_pending(store, applier, run_id)

    def redrive_all() -> None:
        with store.engine.connect() as connection:
            if not streams.count_dead_letters(connection):
                return  # reading a thousand source files takes most of a second
        redrive(store, applier, run_id, [config.source for config in kafka_configs(pipeline.settings)])

    clean = partial(clean_up, store, pipeline.settings)
    for task in (finish, partial(continue_erasures, pipeline), clean, redrive_all):
        try:
            task()
        except RagError as error:
            log.warning("reconcile_postponed", reason=error.reason, problem=error.message)
    return done["documents"]
