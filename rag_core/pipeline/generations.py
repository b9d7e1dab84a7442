"""Which generation this installation writes to, and making it good again when the index lost it."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from rag_core.embedding.base import Embedder
from rag_core.ids import fingerprint
from rag_core.index.base import GenerationSpec, VectorIndex
from rag_core.pipeline.index import catch_up
from rag_core.store import audit, generations, locks
from rag_core.store.engine import Store
from rag_core.store.generations import FOLLOWING, Generation
from rag_core.text import Chunker

log = structlog.get_logger(__name__)
_Fingerprints = tuple[str, str]


def ensure_generation(
    store: Store, index: VectorIndex, embedder: Embedder, chunker: Chunker, *, wait: float = 30
) -> str:
    """The generation for this embedder and chunker, created when there is none; returns its name. Idempotent.

    The very first one is promoted at once, so that documents are found as they arrive. With another embedder or chunker
    than before, a new one starts `building` beside the old. Readers stay on the old one until the new one is promoted;
    it is frozen, because nothing can be computed for it any more.

    A generation that PostgreSQL knows and the index lost is created again and filled from the rows before this returns.
    Raises `Unavailable` (`INDEX_UNAVAILABLE`), and `Conflict` (`SOURCE_BUSY`) when runs keep it from being created for
    longer than `wait` seconds.
    """
    wanted = (embedder.fingerprint, chunker.fingerprint)
    with store.engine.begin() as connection:
        mine = _declare(connection, wanted, embedder.dimensions)
    if not _holds(index, mine):
        _restore(store, index, mine, wait)
    _promote_if_needed(store, index, mine)
    return mine.name


def _declare(connection: Connection, wanted: _Fingerprints, dimensions: int) -> Generation:
    locks.lock_transaction(connection, "generations")
    known = generations.all_of(connection)
    for row in known:
        if row.state in FOLLOWING and row.frozen == _built_with(row, wanted):
            generations.set_frozen(connection, row.name, frozen=not row.frozen)
    mine = next((row for row in known if row.state in FOLLOWING and _built_with(row, wanted)), None)
    if mine is not None:
        return mine
    spec = GenerationSpec(f"g-{fingerprint(*wanted)[:16]}", dimensions, *wanted)
    generations.add(connection, spec)
    audit.record(connection, actor="pipeline", action="index.create", target=spec.name, details={})
    return generations.get(connection, spec.name)


def _built_with(row: Generation, wanted: _Fingerprints) -> bool:
    return (row.embedder, row.chunker) == wanted


def _holds(index: VectorIndex, generation: Generation) -> bool:
    return any(spec.name == generation.name for spec in index.generations())


def _restore(store: Store, index: VectorIndex, generation: Generation, wait: float) -> None:
    """Create the collection; what it held once is due again. Alone, so that no run marks what the old one held."""
    with locks.exclusive_connection(store, wait=wait) as connection:
        if _holds(index, generation):  # another process was first
            return
        forgotten = generations.forget_marks(connection, generation.name)
        connection.commit()
        index.create(generation.spec)
        if forgotten:
            log.warning("generation_lost", generation=generation.name, documents=forgotten)
            catch_up(connection, index, generation)


def _promote_if_needed(store: Store, index: VectorIndex, mine: Generation) -> None:
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "generations")
        active = generations.active(connection)
        if active is None or (active.name != mine.name and not _holds(index, active)):
            index.promote(mine.name)
            generations.activate(connection, mine.name)
            audit.record(connection, actor="pipeline", action="index.promote", target=mine.name, details={})
        elif index.alias() != active.name:
            # Written by a process that died between the two, or by an index that lost its alias.
            index.promote(active.name)
