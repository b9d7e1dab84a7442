# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.AccessService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.auth.authenticator import session_id_of
from query_server.converters.fields import message_of
from query_server.handlers.admin.access import AccessHandler, target_tenant
from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from rag_core.governance import access
from rag_core.governance.access import SESSION_MARK
from ragproto.admin.v1 import access_pb2 as pb
from ragproto.admin.v1 import access_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.governance.access import Account, Session, TokenRevocation


Context = grpc.aio.ServicerContext[Any, Any]
MAX_ROWS = 1000
DEFAULT_DAYS = 90


class AccessServicer(rpc.AccessServiceServicer):
    """Keys, tokens, accounts and sessions."""

    def __init__(self, access: AccessHandler, pages: ListPages) -> None:
        self._access, self._pages = access, pages

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=MAX_ROWS)
        rows = await self._access.keys(caller, request.tenant, page, everyone=request.all_tenants)
        shown, token = page.cut(rows, lambda row: (row["created_at"], row["key_id"]))
        return pb.ListApiKeysResponse(keys=map(from_key, shown), more=bool(token), next_page_token=token)

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        caller = current_call().principal
        days = request.days if request.HasField("days") else DEFAULT_DAYS
        tenant = target_tenant(caller, request.tenant)
        wanted = access.NewKey(request.name, tenant, list(request.scopes), list(request.groups), days)
        key = await self._access.create_key(caller, wanted, request.reason)
        return pb.CreateApiKeyResponse(key=key.text, key_id=key.key_id)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.RevokeApiKeyResponse:
        await self._access.revoke_key(current_call().principal, request.key_id, request.reason)
        return pb.RevokeApiKeyResponse()

    async def ListTokenRevocations(
        self, request: pb.ListTokenRevocationsRequest, context: Context
    ) -> pb.ListTokenRevocationsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=MAX_ROWS)
        rows = await self._access.token_revocations(caller, request.tenant, page, everyone=request.all_tenants)
        shown, token = page.cut(rows, lambda row: (row.before, row.tenant, row.subject))
        revocations = map(from_token_revocation, shown)
        return pb.ListTokenRevocationsResponse(revocations=revocations, more=bool(token), next_page_token=token)

    async def RevokeTokens(self, request: pb.RevokeTokensRequest, context: Context) -> pb.RevokeTokensResponse:
        caller = current_call().principal
        before = await self._access.revoke_tokens(caller, request.tenant, request.subject, request.reason)
        return pb.RevokeTokensResponse(issued_before=before)

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=MAX_ROWS)
        rows = await self._access.accounts(caller, request.tenant, page, everyone=request.all_tenants)
        shown, token = page.cut(rows, lambda row: (row.name,))
        return pb.ListAccountsResponse(accounts=map(from_account, shown), next_page_token=token)

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Context) -> pb.CreateAccountResponse:
        caller = current_call().principal
        check_text_field("name", request.name, limit=64, required=True)
        tenant = target_tenant(caller, request.tenant)
        wanted = access.NewAccount(
            request.name, access.require_role(request.role), tenant, tuple(request.groups), platform=request.platform
        )
        return pb.CreateAccountResponse(password=await self._access.create_account(caller, wanted, request.reason))

    async def RemoveAccount(self, request: pb.RemoveAccountRequest, context: Context) -> pb.RemoveAccountResponse:
        await self._access.remove_account(current_call().principal, request.name, request.reason)
        return pb.RemoveAccountResponse()

    async def UnlockAccount(self, request: pb.UnlockAccountRequest, context: Context) -> pb.UnlockAccountResponse:
        await self._access.unlock_account(current_call().principal, request.name, request.reason)
        return pb.UnlockAccountResponse()

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Context) -> pb.ListSessionsResponse:
        call = current_call()
        page = self._pages.of(call.principal, request, default=MAX_ROWS)
        rows = await self._access.sessions(call.principal, request.tenant, page, everyone=request.all_tenants)
        own = session_id_of(call)
        shown, token = page.cut(rows, lambda row: (row.last_used_at, f"{SESSION_MARK}{row.id}"))
        return pb.ListSessionsResponse(
            sessions=[from_session(row, own) for row in shown], more=bool(token), next_page_token=token
        )

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> pb.EndSessionResponse:
        await self._access.end_session(current_call().principal, request.id, request.reason)
        return pb.EndSessionResponse()


def from_key(row: Mapping[str, Any]) -> pb.AccessKey:
    """A stored key with its state."""
    return pb.AccessKey(
        key_id=row["key_id"],
        name=row["name"],
        tenant=row["tenant"],
        scopes=row["scopes"],
        groups=row["groups"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
        state=_state(row),
    )


def from_token_revocation(row: TokenRevocation) -> pb.TokenRevocation:
    """A subject whose older tokens are refused."""
    return message_of(pb.TokenRevocation, row, issued_before=row.before, matters_until=row.forget_at)


def from_account(row: Account) -> pb.ConsoleAccount:
    """An account without its password."""
    return message_of(pb.ConsoleAccount, row)


def from_session(row: Session, own: str) -> pb.ConsoleSession:
    """An open session; `own` is the id of the caller's."""
    return message_of(pb.ConsoleSession, row, own=row.id == own)


def _state(row: Mapping[str, Any]) -> pb.AccessKeyState:
    if row["revoked_at"] is not None:
        return pb.ACCESS_KEY_STATE_REVOKED
    return pb.ACCESS_KEY_STATE_EXPIRED if row["expires_at"] <= datetime.now(UTC) else pb.ACCESS_KEY_STATE_VALID
