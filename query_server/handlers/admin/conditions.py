"""Alerts, the quality of sources, and their history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.content import quality
from rag_core.governance.access import Principal
from rag_core.ingestion import alerts, pipeline

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.quality import RuleFindings, ShardResult
    from rag_core.ingestion.alerts import Alert
    from rag_core.ingestion.pipeline import SourceHistory


class ConditionsHandler:
    """Reads of the caller's tenant. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def alerts(self, principal: Principal, page: ListPage, *, ended: bool) -> list[Alert]:
        """Open alerts and, on request, ended ones."""

        def read(connection: Connection) -> list[Alert]:
            return alerts.store.newest(connection, principal.tenant, ended=ended, limit=page.rows, after=page.after)

        return await transact(self._store, read)

    async def quality(
        self, principal: Principal, source: str, page: ListPage
    ) -> tuple[list[ShardResult], list[RuleFindings]]:
        """Results of a source's newest runs and, on the first page, what its rules found."""
        check_text_field("source", source, required=True)

        def read(connection: Connection) -> tuple[list[ShardResult], list[RuleFindings]]:
            tenant = principal.tenant
            found = quality.store.results(connection, tenant, source, page.rows, after=page.after)
            if page.after is not None:
                return found, []
            newest = [item for item in found if item.run_id == found[0].run_id]
            duplicates = any(item.profile.duplicates for item in newest)
            return found, quality.store.findings(connection, tenant, source, duplicates=duplicates)

        return await transact(self._store, read)

    async def source_history(
        self, principal: Principal, since: datetime | None, limit: int, page: ListPage
    ) -> list[SourceHistory]:
        """Return what the newest runs of each source found, and what runs did since a moment, at first 24 hours ago."""

        def read(connection: Connection) -> list[SourceHistory]:
            moment = since or datetime.now(UTC) - timedelta(hours=24)
            return pipeline.run_history_store.of_sources(
                connection, principal.tenant, limit=limit, since=moment, sources=page.rows, after=page.place or ""
            )

        return await transact(self._store, read)
