"""Keys, tokens, accounts and sessions: who may see and change whose. Every change is audited in its transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from query_server.auth.policies import ADMIN, PLATFORM_ADMIN, SCOPES, allows, grantable
from query_server.handlers.admin.rules import check_text_field, tenant_of
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.errors import InvalidInput, NotFound, PermissionDenied, Reason
from rag_core.governance import access
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.access import Account, ApiKey, NewAccount, NewKey, Session, TokenRevocation

T = TypeVar("T")


class AccessHandler:
    """Works on the caller's tenant; other tenants need `platform.admin`. What is another's does not exist for the rest.

    Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down.
    """

    def __init__(
        self, store: LazyStore, *, token_seconds: int, platform_groups: Sequence[tuple[str, str]] = ()
    ) -> None:
        """`token_seconds` is the longest that a token can be accepted; `platform_groups` as in `TokenRules`."""
        self._store = store
        self._token_seconds = token_seconds
        self._platform_groups = platform_groups

    async def keys(self, principal: Principal, tenant: str, page: ListPage, *, everyone: bool) -> list[dict[str, Any]]:
        """API keys, newest first."""
        whose = listed_tenant(principal, tenant, everyone=everyone)
        return await self._transact(lambda db: access.list_keys(db, tenant=whose, limit=page.rows, after=page.after))

    async def create_key(self, principal: Principal, wanted: NewKey, why: str) -> ApiKey:
        """Create a key. Raises `InvalidInput`, `PermissionDenied` (`SCOPE_MISSING`) for more than the caller holds."""
        check_text_field("name", wanted.name, limit=256, required=True)
        check_text_field("reason", why)
        _require_grantable(principal, wanted.scopes, wanted.groups)
        return await self._transact(lambda db: access.create_key(db, wanted, actor=principal.actor, why=why))

    async def revoke_key(self, principal: Principal, key_id: str, why: str) -> None:
        """Revoke a key. Raises `NotFound` (`API_KEY_NOT_FOUND`), `Conflict` when it is revoked already."""
        check_text_field("key_id", key_id, limit=64, required=True)
        check_text_field("reason", why)

        def write(connection: Connection) -> None:
            key = access.get_key(connection, key_id)
            _require_reach(
                principal, key.tenant, key.scopes, NotFound(Reason.API_KEY_NOT_FOUND, f"key: no key {key_id!r}")
            )
            access.revoke_key(connection, key_id, actor=principal.actor, why=why)

        await self._transact(write)

    async def token_revocations(
        self, principal: Principal, tenant: str, page: ListPage, *, everyone: bool
    ) -> list[TokenRevocation]:
        """Subjects whose older tokens are refused, newest first."""
        whose = listed_tenant(principal, tenant, everyone=everyone)
        return await self._transact(
            lambda db: access.list_token_revocations(db, tenant=whose, limit=page.rows, after=page.after)
        )

    async def revoke_tokens(self, principal: Principal, tenant: str, subject: str, why: str) -> datetime:
        """Refuse the tokens of a subject. Raises `PermissionDenied` for one that acts on the platform."""
        whose = target_tenant(principal, tenant)
        access.require_identity_names(whose, subject=(subject,))
        check_text_field("reason", why)

        def write(connection: Connection) -> datetime:
            held = {
                scope
                for session in access.list_sessions(connection, tenant=whose)
                if session.subject == subject
                for scope in session.scopes
            }
            account = access.find_account(connection, subject)
            if account is not None and account[0].tenant == whose:
                held |= self._scopes_of(account[0])
            _require_reach(principal, whose, held, NotFound(Reason.FIELD_INVALID, "subject: not yours"))
            return access.revoke_tokens(
                connection,
                tenant=whose,
                subject=subject,
                lifetime=self._token_seconds,
                actor=principal.actor,
                why=why,
            )

        return await self._transact(write)

    async def accounts(self, principal: Principal, tenant: str, page: ListPage, *, everyone: bool) -> list[Account]:
        """Accounts of the console by name."""
        whose = listed_tenant(principal, tenant, everyone=everyone)
        return await self._transact(
            lambda db: access.list_accounts(db, tenant=whose, limit=page.rows, after=page.after)
        )

    async def create_account(self, principal: Principal, wanted: NewAccount, why: str) -> str:
        """Create an account; returns its password. Raises `Conflict` (`ACCOUNT_EXISTS`), `PermissionDenied`."""
        check_text_field("reason", why)
        _require_grantable(principal, self._scopes_of(wanted), wanted.groups)
        password = access.new_password()
        await self._transact(lambda db: access.create_account(db, wanted, password, actor=principal.actor, why=why))
        return password

    async def remove_account(self, principal: Principal, name: str, why: str) -> None:
        """Remove an account and end its sessions. Raises `NotFound` (`ACCOUNT_NOT_FOUND`), `PermissionDenied`."""
        actor, lifetime = principal.actor, self._token_seconds
        await self._on_account(
            principal, name, why, lambda db: access.remove_account(db, name, actor=actor, lifetime=lifetime, why=why)
        )

    async def unlock_account(self, principal: Principal, name: str, why: str) -> None:
        """Let a person try again at once. Raises `NotFound` (`ACCOUNT_NOT_FOUND`), `PermissionDenied`."""
        actor = principal.actor
        await self._on_account(principal, name, why, lambda db: access.unlock_account(db, name, actor=actor, why=why))

    async def _on_account(self, principal: Principal, name: str, why: str, act: Callable[[Connection], None]) -> None:
        check_text_field("name", name, limit=64, required=True)
        check_text_field("reason", why)

        def write(connection: Connection) -> None:
            account = access.get_account(connection, name)
            missing = NotFound(Reason.ACCOUNT_NOT_FOUND, f"there is no account {name!r}")
            _require_reach(principal, account.tenant, self._scopes_of(account), missing)
            act(connection)

        await self._transact(write)

    async def sessions(self, principal: Principal, tenant: str, page: ListPage, *, everyone: bool) -> list[Session]:
        """Open sessions, the one used last first."""
        whose = listed_tenant(principal, tenant, everyone=everyone)
        return await self._transact(
            lambda db: access.list_sessions(db, tenant=whose, limit=page.rows, after=page.after)
        )

    async def end_session(self, principal: Principal, session_id: str, why: str) -> None:
        """End a session. Raises `NotFound` (`SESSION_NOT_FOUND`), `PermissionDenied`."""
        check_text_field("id", session_id, limit=64, required=True)
        check_text_field("reason", why)

        def write(connection: Connection) -> None:
            found = access.get_session(connection, session_id)
            missing = NotFound(Reason.SESSION_NOT_FOUND, "session: none with this id is open")
            _require_reach(principal, found.tenant, found.scopes, missing)
            access.end_open_session(
                connection, session_id, actor=principal.actor, lifetime=self._token_seconds, why=why
            )

        await self._transact(write)

    def _scopes_of(self, account: Account | NewAccount) -> set[str]:
        """Return the scopes of an account's tokens: those of its role, and of its groups on the platform."""
        return {*account.scopes, *(scope for group, scope in self._platform_groups if group in account.groups)}

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        return await transact(self._store, work)


def target_tenant(principal: Principal, tenant: str) -> str:
    """Return the tenant that a request changes, as `tenant_of`: another one needs `platform.admin`."""
    return tenant_of(principal, tenant, PLATFORM_ADMIN)


def listed_tenant(principal: Principal, tenant: str, *, everyone: bool) -> str | None:
    """The tenant to list; `None`: all of them."""
    if not everyone:
        return target_tenant(principal, tenant)
    if tenant:
        raise InvalidInput(Reason.FIELD_INVALID, "tenant: must be empty with all_tenants")
    if not allows(principal.scopes, PLATFORM_ADMIN):
        raise PermissionDenied(Reason.SCOPE_MISSING, f"all_tenants: needs {PLATFORM_ADMIN}")
    return None


def _require_grantable(principal: Principal, scopes: Iterable[str], groups: Iterable[str]) -> None:
    wanted = set(scopes)
    if unknown := sorted(wanted - set(SCOPES)):
        raise InvalidInput(Reason.FIELD_INVALID, f"scopes: unknown {unknown}; there are {', '.join(SCOPES)}")
    if not wanted:
        raise InvalidInput(Reason.FIELD_INVALID, f"scopes: name one at least of {', '.join(SCOPES)}")
    if beyond := sorted(wanted - grantable(principal.scopes)):
        raise PermissionDenied(Reason.SCOPE_MISSING, f"scopes: you do not hold {', '.join(beyond)}, so cannot grant it")
    administers = allows(principal.scopes, ADMIN) or allows(principal.scopes, PLATFORM_ADMIN)
    if not administers and (others := sorted(set(groups) - set(principal.groups))):
        raise PermissionDenied(Reason.SCOPE_MISSING, f"groups: you are not in {', '.join(others)}; needs {ADMIN}")


def _require_reach(principal: Principal, tenant: str, scopes: Iterable[str], missing: NotFound) -> None:
    """Raise `missing` for what is another tenant's, `PermissionDenied` for what can do more than the caller."""
    if tenant != principal.tenant and not allows(principal.scopes, PLATFORM_ADMIN):
        raise missing
    if beyond := sorted((set(scopes) & set(SCOPES)) - grantable(principal.scopes)):
        raise PermissionDenied(Reason.SCOPE_MISSING, f"it holds {', '.join(beyond)}, which you do not")
