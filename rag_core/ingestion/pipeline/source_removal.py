"""Remove a source: its documents from every table and index generation, and then its own rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from rag_core.content.documents import tombstone_store as tombstones
from rag_core.content.sources import Scope, Source, SourceContents, removal_store
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import locks
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.pipeline.metadata_updates import MetadataPublisher
from rag_core.ingestion.pipeline.stage_runner import StageDependencies

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Removal:
    """Result of a removal: the counts before, the documents left (0), and whether every index generation has applied
    it."""

    found: SourceContents
    left: SourceContents

    @property
    def applied(self) -> bool:
        return self.left.pending == 0


def remove_source(
    dependencies: StageDependencies,
    source: Source,
    run_id: str,
    *,
    actor: str,
    finished: Callable[[Connection, Removal], None] = lambda connection, removal: None,
) -> Removal:
    """Delete the documents of a source, apply that to the index, and delete the rows of the source. Audited.

    Remove its file first, so that no run begins again. Pushed changes that wait are dropped; applied later, they would
    bring documents back. A deletion that the index cannot apply now stays pending, hidden by the query servers, and
    keeps the source's row; call it again then. `finished` is called in the last transaction.
    Raises `Conflict` (`SOURCE_BUSY`) while a run of the source is in progress.
    """
    wait = dependencies.settings.source_wait_seconds
    with locks.source_connection(dependencies.store, source.tenant, source.name, wait=wait) as connection:
        found = removal_store.count(connection, source.tenant, source.name)
        connection.commit()
        while page := removal_store.live_documents(connection, source.tenant, source.name, _PAGE):
            tombstones.soft_delete(connection, run_id, page)
            connection.commit()
        for shard in removal_store.shards(connection, source.tenant, source.name):
            publisher = MetadataPublisher(lambda: dependencies.index, dependencies.settings)
            publisher.publish(connection, Scope(source, run_id, shard))
        left = removal_store.count(connection, source.tenant, source.name)
        removal = Removal(found, left)
        dropped = inbox.forget_source(connection, source.tenant, source.name)
        if removal.applied:
            removal_store.forget(connection, source.tenant, source.name)
        finished(connection, removal)
        details: dict[str, Any] = {
            "documents": found.documents, "chunks": found.chunks, "pending": left.pending, "inbox": dropped
        }  # fmt: skip
        audit.record(
            connection, actor=actor, action="source.removed", target=source.name, tenant=source.tenant, details=details
        )
        connection.commit()
    return removal
