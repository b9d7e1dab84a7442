"""Credentials of sources: stored and removed by name, never shown. The value reaches no log, no row and no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.admin.sources import SourcesHandler
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.content import sources
from rag_core.errors import Conflict, InvalidInput, PermissionDenied, Reason
from rag_core.governance import audit
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection


class SourceSecretsHandler:
    """A caller may name what its sources may refer to. Raises `PermissionDenied` (`SOURCE_NOT_ALLOWED`), and
    `Unavailable` (`DATABASE_UNAVAILABLE`) while a change cannot be audited."""

    def __init__(self, store: LazyStore, sources: SourcesHandler, *, can_store: bool) -> None:
        self._store, self._sources, self.can_store = store, sources, can_store

    def names(self, principal: Principal) -> list[str]:
        """The stored credentials that sources of the caller may refer to."""
        self._sources.require(principal)
        return [name for name in sources.stored_names() if self._may_name(principal, name)] if self.can_store else []

    async def set(self, principal: Principal, name: str, value: str, why: str) -> str:
        """Store a credential, and return its whole name. Raises `InvalidInput` (`FIELD_INVALID`)."""
        check_text_field("value", value, limit=sources.MAX_SECRET_BYTES, required=True)
        if len(value.encode()) > sources.MAX_SECRET_BYTES:
            raise InvalidInput(Reason.FIELD_INVALID, f"value: more than {sources.MAX_SECRET_BYTES:,} bytes")
        return await self._change(principal, "set", name, why, lambda full: sources.store_secret(full, value))

    async def remove(self, principal: Principal, name: str, why: str) -> str:
        """Remove a credential. Raises `NotFound` (`SECRET_MISSING`)."""
        return await self._change(principal, "remove", name, why, sources.remove_secret)

    async def _change(self, principal: Principal, what: str, name: str, why: str, act: Callable[[str], None]) -> str:
        check_text_field("name", name, required=True)
        check_text_field("reason", why)
        self._sources.require(principal)
        try:
            full = sources.full_name(name)
        except InvalidInput as error:
            raise InvalidInput(Reason.FIELD_INVALID, f"name: {error.message}") from None
        if not self._may_name(principal, full):
            message = f"name: env:{full} is not a secret that your tenant may use (RAG_SOURCE_ALLOWANCES)"
            raise PermissionDenied(Reason.SOURCE_NOT_ALLOWED, message)
        if not self.can_store:
            message = "credentials are variables and files of this installation's Secret; set it there"
            raise Conflict(Reason.CONFIG_INVALID, message)

        def write(connection: Connection) -> str:
            details = {"tenant": principal.tenant} | ({"reason": why} if why else {})
            audit.audit_store.record(
                connection, actor=principal.actor, action=f"source_secret.{what}", target=full, details=details
            )
            act(full)  # before the commit: a change that fails is not on record
            return full

        return await transact(self._store, write)

    def _may_name(self, principal: Principal, full: str) -> bool:
        unrestricted, allowance = self._sources.permissions(principal)
        return unrestricted or (allowance is not None and allowance.names_secret(f"env:{full}"))
