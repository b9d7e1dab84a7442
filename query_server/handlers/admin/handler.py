"""Status for operators: components, sources of their tenant, generations; other tenants only with a platform scope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from query_server.auth.policies import PLATFORM_READ, allows
from query_server.handlers.admin.overview import ComponentStatus, GenerationRow, GenerationStatus, Status
from query_server.handlers.query.embedder import QueryEmbedder
from query_server.handlers.transactions import transact
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import Dependencies
from rag_core.content import sources
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.governance.access import Principal
from rag_core.ingestion import source_status

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.sources import SourceProblem
    from rag_core.ingestion.source_status import SourceReport

PROBE_SECONDS = 2.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Overview:
    """State of the platform as the database has it."""

    sources: tuple[SourceReport, ...] = ()
    rows: dict[str, GenerationRow] = field(default_factory=dict)
    problems: tuple[SourceProblem, ...] = ()


class AdminHandler:
    """Reports status; a service that is down is part of the report, not an error of the call."""

    def __init__(self, dependencies: Dependencies, embedder: QueryEmbedder, pool: BlockingPool, version: str) -> None:
        self._dependencies = dependencies
        self._query_embedder = embedder
        self._pool = pool
        self._version = version

    async def status(self, principal: Principal) -> Status:
        """Health of every service, counts of the caller's sources, and all generations.

        Without `platform.read` a generation counts what the caller's tenant has in it, and has no history.
        """
        tenant, platform = principal.tenant, allows(principal.scopes, PLATFORM_READ)
        (overview, database), (generations, index), embedder = await asyncio.gather(
            self._database(tenant, platform=platform), self._index(None if platform else tenant), self._embedder()
        )
        return Status(
            components=(database, index, embedder),
            sources=overview.sources,
            generations=_newest_first(generations, overview.rows),
            server_version=self._version,
            problems=overview.problems,
        )

    async def _database(self, tenant: str, *, platform: bool) -> tuple[_Overview, ComponentStatus]:
        def read(connection: Connection) -> _Overview:
            # Imported here: SQLAlchemy takes as long to load as the rest of the server.
            from query_server.handlers.admin.overview import generation_rows

            return _Overview(
                source_status.read(connection, tenant),
                generation_rows(connection, None if platform else tenant),
                tuple(sources.problem_store.of(connection, None if platform else tenant)),
            )

        try:
            overview = await _in_time(transact(self._dependencies.store, read), Reason.DATABASE_UNAVAILABLE)
        except RagError as error:
            return _Overview(), ComponentStatus("database", healthy=False, detail=f"{error.reason}: {error.message}")
        return overview, ComponentStatus("database", healthy=True)

    async def _index(self, tenant: str | None) -> tuple[list[GenerationStatus], ComponentStatus]:
        try:
            found = await _in_time(self._pool.run(lambda: self._read_index(tenant)), Reason.INDEX_UNAVAILABLE)
        except RagError as error:
            return [], ComponentStatus("index", healthy=False, detail=f"{error.reason}: {error.message}")
        if not any(generation.state == "active" for generation in found):
            detail = f"{Reason.INDEX_EMPTY}: no generation has been promoted yet"
            return found, ComponentStatus("index", healthy=False, detail=detail)
        return found, ComponentStatus("index", healthy=True)

    def _read_index(self, tenant: str | None) -> list[GenerationStatus]:
        index = self._dependencies.index
        alias = index.alias()
        return [
            GenerationStatus(spec, "active" if spec.name == alias else "", index.count(spec.name, tenant=tenant))
            for spec in index.generations()
        ]

    async def _embedder(self) -> ComponentStatus:
        try:
            await _in_time(self._query_embedder.probe(), Reason.EMBEDDER_UNAVAILABLE)
        except RagError as error:
            return ComponentStatus("embedder", healthy=False, detail=f"{error.reason}: {error.message}")
        return ComponentStatus("embedder", healthy=True, detail=self._dependencies.embedder.fingerprint)


async def _in_time(work: Awaitable[T], reason: Reason) -> T:
    """The result of a probe. Raises `Unavailable` with the service's reason when it takes too long."""
    try:
        return await asyncio.wait_for(work, PROBE_SECONDS)
    except TimeoutError:
        raise Unavailable(reason, f"did not respond within {PROBE_SECONDS:g} seconds") from None


def _newest_first(found: list[GenerationStatus], rows: dict[str, GenerationRow]) -> tuple[GenerationStatus, ...]:
    merged = [_with_row(status, rows.get(status.spec.name)) for status in found]
    known = {status.spec.name for status in found}
    merged += [
        GenerationStatus(row.generation.spec, row.generation.state, 0, row)
        for name, row in rows.items()
        if row.generation.state == "retired" and name not in known
    ]
    # The index stores no times; generations that the database does not know come last.
    return tuple(sorted(merged, key=_created, reverse=True))


def _created(status: GenerationStatus) -> float:
    created_at = status.row.generation.created_at if status.row else None
    return created_at.timestamp() if created_at else 0.0


def _with_row(status: GenerationStatus, row: GenerationRow | None) -> GenerationStatus:
    """The alias, not the database, says which generation readers see, so only one is ever shown as active."""
    if status.state == "active":
        return replace(status, row=row)
    if row is None:
        return replace(status, state="unknown")
    state = row.generation.state
    return replace(status, row=row, state="retired" if state == "active" else state)
