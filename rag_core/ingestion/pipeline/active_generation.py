"""Create the first generation, and restore the active one when the index has lost it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from rag_core.content.chunking import Chunker
from rag_core.content.embedding import Embedder
from rag_core.database import Store, locks
from rag_core.governance.audit import audit_store as audit
from rag_core.ids import fingerprint
from rag_core.ingestion.generations import RECEIVES_WRITES, Generation, GenerationConfig
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline.stages.index import index_pending
from rag_core.logging import get_logger
from rag_core.retrieval.index import GenerationSpec, VectorIndex

log = get_logger(__name__)
_Fingerprints = tuple[str, str]


def ensure_generation(
    store: Store,
    index: VectorIndex,
    embedder: Embedder,
    chunker: Chunker,
    *,
    generation_config: GenerationConfig | None = None,
    can_make: Callable[[Generation], bool] | None = None,
    wait: float = 30,
) -> str:
    """Return the name of the active generation; create and promote one when there is none. Idempotent.

    When the configured embedder or chunker differs from the active generation's, the active one stays: its chunks and
    vectors are computed from the settings stored with it. Building a new one costs time and perhaps money, so that is
    left to `rag index build`. Only when `can_make` returns false for the active one (without it: when it was built with
    another embedder or chunker) is a new one declared, in state `building`; the old one is marked `not_reproducible`.

    A generation that is missing from the index is created again and filled from the rows before this returns. Raises
    `Unavailable` (`INDEX_UNAVAILABLE`), and `Conflict` (`SOURCE_BUSY`) when runs hold their locks for longer than
    `wait` seconds.
    """
    wanted = (embedder.fingerprint, chunker.fingerprint)
    able = can_make or (lambda row: _built_with(row, wanted))
    with store.engine.begin() as connection:
        mine = _declare(connection, wanted, embedder.dimensions, dict(generation_config or {}), able)
    if not _holds(index, mine):
        _restore(store, index, mine, wait)
    _promote_if_needed(store, index, mine)
    return mine.name


def _declare(
    connection: Connection,
    wanted: _Fingerprints,
    dimensions: int,
    generation_config: dict[str, Any],
    able: Callable[[Generation], bool],
) -> Generation:
    locks.lock_transaction(connection, "generations")
    known = [row for row in generations.all_of(connection) if row.state in RECEIVES_WRITES]
    for row in known:
        if _built_with(row, wanted) and not row.settings and generation_config:
            generations.change(connection, row.name, settings=generation_config)
        if row.not_reproducible == (_built_with(row, wanted) or able(row)):
            generations.set_not_reproducible(connection, row.name, not_reproducible=not row.not_reproducible)
    active = generations.active(connection)
    if active is not None and not active.not_reproducible:
        return active
    mine = next((row for row in known if _built_with(row, wanted)), None)
    if mine is not None:
        return mine
    spec = GenerationSpec(default_name(*wanted), dimensions, *wanted)
    reason = "the first one" if active is None else f"{active.name} cannot be computed any more"
    generations.add(connection, spec, generation_config, reason=reason)
    audit.record(connection, actor="pipeline", action="index.create", target=spec.name, details={"reason": reason})
    return generations.get(connection, spec.name)


def default_name(embedder: str, chunker: str) -> str:
    """The default name of a generation: equal for equal embedder and chunker."""
    return f"g-{fingerprint(embedder, chunker)[:16]}"


def _built_with(row: Generation, wanted: _Fingerprints) -> bool:
    return (row.embedder, row.chunker) == wanted


def _holds(index: VectorIndex, generation: Generation) -> bool:
    return any(spec.name == generation.name for spec in index.generations())


def _restore(store: Store, index: VectorIndex, generation: Generation, wait: float) -> None:
    """Create the collection and index its documents again. Exclusive, so that no run marks lost documents."""
    with locks.exclusive_connection(store, wait=wait) as connection:
        if _holds(index, generation):  # another process restored it
            return
        forgotten = generations.clear_indexed(connection, generation.name)
        connection.commit()
        index.create(generation.spec)
        if forgotten and generation.state != "building":
            log.warning("generation_lost", generation=generation.name, documents=forgotten)
            index_pending(connection, index, generation)


def _promote_if_needed(store: Store, index: VectorIndex, mine: Generation) -> None:
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "generations")
        active = generations.active(connection)
        if active is None or (active.name != mine.name and not _holds(index, active)):
            index.promote(mine.name)
            generations.activate(connection, mine.name)
            audit.record(connection, actor="pipeline", action="index.promote", target=mine.name, details={})
        elif index.alias() != active.name:
            # A process died between the two writes, or the index lost its alias.
            index.promote(active.name)
