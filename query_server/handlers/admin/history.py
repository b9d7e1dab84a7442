"""Figures over time, and questions without an answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from query_server.auth.policies import PLATFORM_READ, allows
from query_server.handlers.admin.rules import tenant_of
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.errors import InvalidInput, PermissionDenied, Reason
from rag_core.governance import history, tenants
from rag_core.governance.access import Principal
from rag_core.governance.history import History, TimeSpan, read_history

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.history import UnansweredQuestion


class HistoryHandler:
    """Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def history(self, principal: Principal, span: str, tenant: str, *, everyone: bool) -> History:
        """The series of a tenant, or of all; those that no tenant owns with `platform.read`.

        Raises `PermissionDenied` (`SCOPE_MISSING`).
        """
        chosen = _span_of(span or "hour")
        beyond = allows(principal.scopes, PLATFORM_READ)
        if everyone and tenant:
            raise InvalidInput(Reason.FIELD_INVALID, "tenant: must be empty with all_tenants")
        if everyone and not beyond:
            raise PermissionDenied(Reason.SCOPE_MISSING, f"all_tenants: needs {PLATFORM_READ}")
        whose = None if everyone else tenant_of(principal, tenant)
        now = datetime.now(UTC)
        return await transact(self._store, lambda db: read_history(db, chosen, now, tenant=whose, platform=beyond))

    async def unanswered(
        self, principal: Principal, span: str, page: ListPage
    ) -> tuple[list[UnansweredQuestion], bool | None]:
        """Questions of the caller's tenant, the most frequent first, and its switch for their texts."""
        since = datetime.now(UTC) - timedelta(seconds=_span_of(span or "week").seconds)

        def read(connection: Connection) -> tuple[list[UnansweredQuestion], bool | None]:
            tenant = principal.tenant
            found = history.store.unanswered(connection, tenant, since=since, limit=page.rows, after=page.after)
            return found, tenants.store.question_words(connection, tenant)

        return await transact(self._store, read)


def _span_of(name: str) -> TimeSpan:
    spans = {span.name.lower(): span for span in TimeSpan}
    if name not in spans:
        raise InvalidInput(Reason.FIELD_INVALID, f"span: must be one of {', '.join(spans)}")
    return spans[name]
