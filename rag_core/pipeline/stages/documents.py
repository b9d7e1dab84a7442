"""The first stage: compare a listing with the stored documents, read changed items, delete missing ones."""

from __future__ import annotations

from contextlib import closing

from rag_core.database import Store, locks
from rag_core.parsing import Parser
from rag_core.pipeline.base import Progress, StageResult
from rag_core.pipeline.stages.document_sync import DocumentSync, Publish
from rag_core.settings import Settings
from rag_core.sources import Connector, Scope
from rag_core.sources import store as sources
from rag_core.tenants import store as tenants


def sync_documents(
    store: Store,
    connector: Connector,
    parser: Parser,
    scope: Scope,
    settings: Settings,
    progress: Progress | None = None,
    *,
    changes: bool = False,
    publish: Publish | None = None,
) -> StageResult:
    """Bring the stored documents of one shard up to date with the source, in one go. See `DocumentSync`.

    Raises `Conflict` (`SOURCE_BUSY`) while another run works on the shard, `Unavailable` when the source or the
    database is unavailable.
    """
    configure_source(store, scope, settings)
    tenant, source = scope.source.tenant, scope.source.name
    with locks.shard_connection(store, tenant, source, scope.shard, wait=settings.source_wait_seconds) as connection:
        sync = DocumentSync(connection, connector, parser, scope, settings, progress, changes=changes, publish=publish)
        with closing(sync):
            sync.open()
            while sync.read():
                pass
            return sync.finish()


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
