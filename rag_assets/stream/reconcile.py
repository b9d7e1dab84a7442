"""What was accepted and never finished: found in the rows, and finished. Also the upkeep of what a stream leaves."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from rag_assets.stream import letters
from rag_assets.stream.base import Message
from rag_assets.stream.streams import kafka_configs
from rag_core.errors import RagError
from rag_core.logging import get_logger
from rag_core.pipeline import EventApplier, Settled
from rag_core.pipeline.resources import Pipeline
from rag_core.settings import Settings
from rag_core.sources import Source
from rag_core.store import inbox, streams
from rag_core.store.engine import Store

log = get_logger(__name__)
STREAM_KINDS = ("push", "kafka")
_REDRIVES = 64

_LEFT = text("""
SELECT d.tenant, d.source, s.kind, s.acl, count(*) AS documents
FROM rag.documents d
JOIN rag.sources s ON s.tenant = d.tenant AND s.name = d.source AND s.kind = ANY(:kinds)
CROSS JOIN (SELECT name FROM rag.generations
            WHERE state IN ('building', 'ready', 'active') AND NOT coalesce((details->>'frozen')::boolean, false)) g
LEFT JOIN rag.generation_documents m ON m.generation = g.name AND m.doc_id = d.doc_id
WHERE m.indexed_version IS DISTINCT FROM d.version
GROUP BY 1, 2, 3, 4
""")


def left(store: Store) -> int:
    """How many documents of event sources are stored and not indexed."""
    with store.engine.connect() as connection:
        return sum(row.documents for row in connection.execute(_LEFT, {"kinds": list(STREAM_KINDS)}))


def finish_left(store: Store, applier: EventApplier, run_id: str) -> int:
    """Bring documents of event sources that are stored and not indexed through the later stages; returns how many.

    A worker that died, or an index that was away, leaves them. Those that a worker has in hand now are waited for.
    """
    with store.engine.connect() as connection:
        rows = connection.execute(_LEFT, {"kinds": list(STREAM_KINDS)}).all()
    done = 0
    for row in rows:
        source = Source(row.source, row.tenant, row.kind, None if row.acl is None else tuple(row.acl))
        done += applier.finish(source, run_id)["index"]
    if done:
        log.warning("reconciled", documents=done)
    return done


def redrive(store: Store, applier: EventApplier, run_id: str, configured: Iterable[Source] = ()) -> int:
    """Apply again the dead letters whose quarantine entry an operator has redriven; returns how many were taken.

    `configured` are the sources that have a file: metadata and quality rules are there and not in the database.
    """
    with store.engine.connect() as connection:
        names = connection.execute(_STREAMS, {"kinds": list(STREAM_KINDS)}).all()
        sources = {
            f"{row.tenant}/{row.name}": Source(
                row.name, row.tenant, row.kind, None if row.acl is None else tuple(row.acl)
            )
            for row in names
        }
        sources |= {f"{source.tenant}/{source.name}": source for source in configured}
        rows = streams.redriven(connection, list(sources), _REDRIVES)
    for row in rows:
        if "source_version" not in row.attributes:
            continue  # it never was an event; a corrected message comes through its topic
        message = letters.event_again(row, sources[f"{row.tenant}/{row.source}"])
        _again(applier, run_id, message, int(row.id))
    return len(rows)


def _again(applier: EventApplier, run_id: str, message: Message, letter_id: int) -> None:
    def settle(connection: Connection, settled: Settled) -> None:
        if not settled.refused:
            streams.forget_letters(connection, [letter_id])

    assert message.event is not None  # noqa: S101
    applier.apply(message.source, run_id, [message.event], settle)


def upkeep(store: Store, settings: Settings) -> None:
    """Forget applied pushes, and dead letters that nothing in the quarantine stands for any more."""
    with store.engine.begin() as connection:
        inbox.purge(connection, hours=settings.inbox_retention_hours)
        connection.execute(_MOOT, {"days": settings.event_retention_days})


def maintain(pipeline: Pipeline, applier: EventApplier, run_id: str) -> int:
    """All of it, as often as the settings say. What fails is told and tried again the next time."""
    done = 0
    try:
        pipeline.ensure_generation()
        done = finish_left(pipeline.store, applier, run_id)
        upkeep(pipeline.store, pipeline.settings)
        # Last, because a source file that cannot be read postpones it, and nothing else.
        redrive(pipeline.store, applier, run_id, [config.source for config in kafka_configs(pipeline.settings)])
    except RagError as error:
        log.warning("reconcile_postponed", reason=error.reason, problem=error.message)
    return done


_STREAMS = text("SELECT tenant, name, kind, acl FROM rag.sources WHERE kind = ANY(:kinds)")
_MOOT = text("""
DELETE FROM rag.dead_letters d
WHERE d.created_at < now() - make_interval(days => :days)
  AND NOT EXISTS (SELECT FROM rag.quarantine q WHERE q.tenant = d.tenant AND q.source = d.source
                  AND q.locator = d.locator)
""")
