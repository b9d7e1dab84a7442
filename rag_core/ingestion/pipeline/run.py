"""Run the pipeline: the four stages over a whole shard, in rounds, or over given documents of it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from rag_core.content.sources import Connector, Scope
from rag_core.content.sources import store as sources
from rag_core.database import Store, locks
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline.base import Progress, SmallChanges, StageResult, Work
from rag_core.ingestion.pipeline.rounds import CheckRound, Rounds, accept_all
from rag_core.ingestion.pipeline.stage_runner import STAGES, StageDependencies, run_stages
from rag_core.settings import Settings


def run_pipeline(
    dependencies: StageDependencies,
    scope: Scope,
    doc_ids: Sequence[uuid.UUID] | None = None,
    *,
    stages: Collection[str] = STAGES,
    connector: Connector | None = None,
    changes: bool = False,
    connection: Connection | None = None,
    progress: Progress | None = None,
    check: CheckRound = accept_all,
    only: SmallChanges | None = None,
) -> dict[str, StageResult]:
    """Bring a shard, and every generation that receives writes, up to date with its source; returns results by stage.

    A whole shard is worked through in rounds (`rag_core.ingestion.pipeline.rounds`): the first documents are
    searchable while the rest is still to be read. Without a `connector` it starts from the stored documents; `changes`
    as for `DocumentSync`. `check` sees the documents of a round before they go to the index; those that it refuses are
    quarantined (`SCHEMA_VIOLATION`). The results of a whole shard are stored with the run.

    `only` ends it with `RunRequired`, before anything is written, when more has changed at the source.

    `doc_ids` limits it to a few stored documents. Without pending work it costs a query or two.

    It takes the lock of the shard, unless `connection` already holds it. Raises `Conflict` (`SOURCE_BUSY`) while
    another run works on the shard, `PermissionDenied` (`TENANT_SUSPENDED`, `TENANT_ERASED`) for a closed tenant,
    `Unavailable` when a service is unavailable. Repeat it then: the remaining work is
    still pending.
    """
    if connector is not None and connection is None:
        configure_source(dependencies.store, scope, dependencies.settings)
    with _holding(dependencies, scope, connection) as held:
        tenants.check_active(held, scope.source.tenant)
        if doc_ids is not None:
            work = Work(held, scope, dependencies.settings, doc_ids, progress, include_unindexed=True)
            return run_stages(dependencies, work, stages)
        return Rounds(dependencies, held, scope, stages, progress, check, only).run(connector, changes=changes)


def configure_source(store: Store, scope: Scope, settings: Settings) -> None:
    """Update the stored configuration of a source and the rows that depend on it. A no-op when nothing changed.

    Raises `Conflict` (`SOURCE_BUSY`), `PermissionDenied` (`TENANT_SUSPENDED`, `TENANT_ERASED`) for a closed tenant.
    """
    with store.engine.connect() as connection:
        if sources.is_current(connection, scope.source):
            return
    tenant, name = scope.source.tenant, scope.source.name
    with locks.source_connection(store, tenant, name, wait=settings.source_wait_seconds) as connection:
        tenants.check_active(connection, tenant)  # no row comes back after an erasure
        sources.configure(connection, scope.source, scope.run_id)
        connection.commit()


@contextmanager
def _holding(dependencies: StageDependencies, scope: Scope, connection: Connection | None) -> Iterator[Connection]:
    if connection is not None:
        yield connection
        return
    with locks.shard_connection(dependencies.store, *scope.key, wait=dependencies.settings.source_wait_seconds) as held:
        yield held
