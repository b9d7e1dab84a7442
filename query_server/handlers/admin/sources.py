"""Operations on sources: who may ask for which; the stream worker carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from query_server.auth.policies import PLATFORM_ADMIN, allows
from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.content import sources
from rag_core.errors import InvalidInput, NotFound, PermissionDenied, Reason
from rag_core.governance.access import Principal
from rag_core.settings import SourceAllowance

if TYPE_CHECKING:
    from rag_core.content.sources import Operation

MAX_DEFINITION_CHARS = 65_536
MAX_NAME_CHARS = 63
_DEFINED = ("check", "preview", "browse", "create", "update")


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """An operation as a caller asked for it, not yet checked. `action` is a name of
    `rag_core.content.sources.Action`."""

    action: str
    source: str
    definition: str = ""
    digest: str = ""
    dry_run: bool = False
    unchecked: bool = False
    why: str = ""


class SourcesHandler:
    """Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore, allowances: Mapping[str, SourceAllowance]) -> None:
        self._store = store
        self._allowances = allowances

    def permissions(self, principal: Principal) -> tuple[bool, SourceAllowance | None]:
        """Return whether the caller may add any source, else its allow-lists; `None`: it may add none."""
        if allows(principal.scopes, PLATFORM_ADMIN):
            return True, None
        return False, self._allowances.get(principal.tenant)

    async def start(self, principal: Principal, request: OperationRequest) -> Operation:
        """Store a request, which the stream worker carries out.

        Raises `InvalidInput`, `PermissionDenied` (`SOURCE_NOT_ALLOWED`), `Exhausted` (`OVERLOADED`).
        The allow-lists themselves are applied by the worker, which can read the definition.
        """
        unrestricted = self.require(principal)
        about_a_source = request.action != "kinds"
        check_text_field("source", request.source, limit=MAX_NAME_CHARS, required=about_a_source)
        check_text_field("definition", request.definition, limit=MAX_DEFINITION_CHARS)
        check_text_field("digest", request.digest, limit=64)
        check_text_field("reason", request.why)
        if (request.action in _DEFINED) != bool(request.definition.strip()):
            raise InvalidInput(Reason.FIELD_INVALID, "definition: the text of the source file, for what needs it only")
        asked: dict[str, Any] = {
            "definition": request.definition,
            "digest": request.digest,
            "dry_run": request.dry_run,
            "unchecked": request.unchecked,
        }

        def store(connection: Any) -> Operation:
            return sources.operation_store.add(
                connection,
                tenant=principal.tenant,
                actor=principal.actor,
                unrestricted=unrestricted,
                action=sources.Action(request.action),
                source=request.source,
                request={name: value for name, value in asked.items() if value},
                why=request.why,
            )

        return await transact(self._store, store)

    async def get(self, principal: Principal, number: int) -> Operation:
        """An operation of the caller's tenant. Raises `NotFound` (`SOURCE_OPERATION_NOT_FOUND`), `PermissionDenied`."""
        self.require(principal)

        def read(connection: Any) -> Operation:
            found = sources.operation_store.get(connection, number, tenant=principal.tenant)
            if found.action is sources.Action.PAGE:  # its picture is for those who may see the document
                raise NotFound(Reason.SOURCE_OPERATION_NOT_FOUND, "operation: not found")
            return found

        return await transact(self._store, read)

    def require(self, principal: Principal) -> bool:
        """Return whether the caller may add any source. Raises `PermissionDenied` when it may add none."""
        unrestricted, allowance = self.permissions(principal)
        if unrestricted or allowance is not None:
            return unrestricted
        raise PermissionDenied(
            Reason.SOURCE_NOT_ALLOWED,
            "your tenant has no allow-lists (RAG_SOURCE_ALLOWANCES); ask a platform administrator to add the source",
        )
