"""Deployments for operators, and their requests to the deployer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.governance import audit
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from rag_core.governance.audit import Colour, Deployment, Step


class DeploymentsHandler:
    """Reads and asks; the deployer acts. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def colours(self) -> list[Colour]:
        """Both colours of each target as the deployer saw them last."""
        return await transact(self._store, audit.deployment_store.load_colours)

    async def page(self, page: ListPage) -> list[Deployment]:
        """Deployments, newest first."""
        return await transact(self._store, lambda db: audit.deployment_store.page(db, page.rows, before=page.place))

    async def one(self, number: int) -> tuple[Deployment, list[Step]]:
        """A deployment with its history; 0 is the newest. Raises `NotFound` (`DEPLOYMENT_NOT_FOUND`)."""
        row = await transact(self._store, lambda db: audit.deployment_store.get(db, number))
        return row, await transact(self._store, lambda db: audit.deployment_store.history(db, row.id))

    async def ask(self, principal: Principal, number: int, what: str, why: str) -> Deployment:
        """Ask for a `switch` or a `rollback`. Raises `NotFound`, `InvalidInput`, `Conflict` (`DEPLOYMENT_STATE`)."""
        check_text_field("reason", why, required=True)
        actor, tenant = principal.actor, principal.tenant
        return await transact(
            self._store,
            lambda db: audit.deployment_store.request_change(db, number, what, actor=actor, why=why, tenant=tenant),
        )
