"""Tenants: who may change them is decided by their scopes; what may be changed, here. Every change is audited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.blocking import BlockingPool
from query_server.runtime.dependencies import LazyStore
from rag_core.errors import Conflict, InvalidInput, RagError, Reason
from rag_core.governance import tenants
from rag_core.governance.access import Principal
from rag_core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.tenants import Tenant
    from rag_core.http_client import EgressPolicy

MAX_REASON = 1000
_END = b""


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant, the policy that holds for it, the sources whose own files narrow it, and whether the texts of its
    questions without an answer are kept."""

    tenant: Tenant
    policy: EgressPolicy
    by_file: frozenset[str]
    question_words: bool


class TenantsHandler:
    """Works on any tenant; the caller's own can be neither suspended nor erased: nobody closes the door behind them.

    Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down, `NotFound` (`TENANT_NOT_FOUND`).
    """

    def __init__(self, store: LazyStore, settings: Settings) -> None:
        self._store, self._settings = store, settings

    async def page(self, page: ListPage) -> list[TenantView]:
        """Tenants by name with their policies."""

        def read(connection: Connection) -> list[TenantView]:
            found = tenants.store.listed(connection, after=page.place or "", limit=page.rows)
            return self._with_policies(connection, found)

        return await transact(self._store, read)

    async def get(self, name: str) -> TenantView:
        """One tenant with its policy, and the sources whose files narrow it."""
        _check(name)
        return await self._changed(lambda db: _store().get(db, name))

    async def create(self, principal: Principal, name: str, egress: Sequence[str] | None, why: str) -> TenantView:
        """Create a tenant. Raises `InvalidInput`, `Conflict` (`TENANT_EXISTS`)."""
        _check(name, why)
        return await self._changed(lambda db: _store().create(db, name, actor=principal.actor, egress=egress, why=why))

    async def suspend(self, principal: Principal, name: str, why: str) -> TenantView:
        """Suspend a tenant. Raises `Conflict` (`TENANT_STATE`)."""
        _check(name, why)
        _require_other(principal, name)
        return await self._changed(lambda db: _store().suspend(db, name, actor=principal.actor, why=why))

    async def resume(self, principal: Principal, name: str, why: str) -> TenantView:
        """End a suspension. Raises `Conflict` (`TENANT_STATE`)."""
        _check(name, why)
        return await self._changed(lambda db: _store().resume(db, name, actor=principal.actor, why=why))

    async def set_egress(
        self,
        principal: Principal,
        name: str,
        egress: Sequence[str] | None,
        sources: Mapping[str, Sequence[str]],
        why: str,
    ) -> TenantView:
        """Replace the egress policy of a tenant. Raises `InvalidInput` (`FIELD_INVALID`)."""
        _check(name, why)
        return await self._changed(
            lambda db: _store().set_egress(db, name, actor=principal.actor, egress=egress, sources=sources, why=why)
        )

    async def set_question_words(self, principal: Principal, name: str, readable: bool | None, why: str) -> TenantView:
        """Say whether the texts of questions without an answer are kept."""
        _check(name, why)
        return await self._changed(
            lambda db: _store().set_question_words(db, name, actor=principal.actor, readable=readable, why=why)
        )

    async def erase(self, principal: Principal, name: str, confirm: str, why: str) -> TenantView:
        """Have a tenant erased. Raises `InvalidInput` unless the name was repeated, `Conflict` (`TENANT_STATE`)."""
        _check(name, why)
        _require_other(principal, name)
        if confirm != name:
            raise InvalidInput(Reason.FIELD_INVALID, "confirm_name: repeat the name; erasing cannot be undone")
        return await self._changed(lambda db: _store().request_erasure(db, name, actor=principal.actor, why=why))

    async def export(self, principal: Principal, name: str, why: str) -> AsyncGenerator[bytes, None]:
        """The archive of a tenant, in pieces. It is in the audit log before anything is read."""
        _check(name, why)
        # A thread of its own: an export takes as long as it takes, and holds up no other call.
        with closing(BlockingPool(1, name="export", reason=Reason.DATABASE_UNAVAILABLE, what="the database")) as pool:
            await pool.run(lambda: tenants.export.record(self._store.get(), name, actor=principal.actor, why=why))
            pieces = await pool.run(lambda: tenants.export.as_archive(tenants.export.entries(self._store.get(), name)))
            try:
                while piece := await pool.run(lambda: next(pieces, _END)):
                    yield piece
            finally:
                # On the thread that reads: it gives the connection back, also when the caller leaves.
                with suppress(RagError):
                    await asyncio.shield(pool.run(pieces.close))

    async def _changed(self, change: Callable[[Connection], Tenant]) -> TenantView:
        def write(connection: Connection) -> TenantView:
            return self._with_policies(connection, [change(connection)])[0]

        return await transact(self._store, write)

    def _with_policies(self, connection: Connection, found: Sequence[Tenant]) -> list[TenantView]:
        directory = _store().directory(connection, self._settings)
        files = _store().narrowed_by_files(connection)
        plain = self._settings.unanswered_questions == "plain"
        return [
            TenantView(one, directory.policy(one.name), files.get(one.name, frozenset()),
                       plain if one.question_words is None else one.question_words)
            for one in found
        ]  # fmt: skip


def _store() -> Any:
    """Imported at its first use: SQLAlchemy takes as long to load as the rest of the server."""
    return tenants.store


def _check(name: str, why: str = "") -> None:
    check_text_field("name", name, required=True)
    check_text_field("reason", why, limit=MAX_REASON)


def _require_other(principal: Principal, name: str) -> None:
    if name == principal.tenant:
        message = "name: it is your own tenant; `rag tenant` does that on the platform's machine"
        raise Conflict(Reason.TENANT_STATE, message)
