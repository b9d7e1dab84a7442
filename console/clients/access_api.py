"""Calls of `admin.v1.AccessService`: keys, accounts, sessions, revoked tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from console.clients.paging import whole
from ragproto.admin.v1 import access_pb2 as pb
from ragproto.admin.v1 import access_pb2_grpc as rpc


class AccessApi:
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, stub: rpc.AccessServiceStub, call: Callable[[Any, Any], Any]) -> None:
        self._stub = stub
        self._call = call

    def keys(self, *, all_tenants: bool) -> pb.ListApiKeysResponse:
        """API keys, newest first."""
        return self._all("ListApiKeys", "keys", all_tenants)

    def create_key(
        self, name: str, tenant: str, scopes: Sequence[str], groups: Sequence[str], days: int, reason: str
    ) -> pb.CreateApiKeyResponse:
        """Create a key, whose text is in the answer only."""
        fields = {"name": name, "tenant": tenant, "scopes": scopes, "groups": groups, "days": days, "reason": reason}
        return self._ask("CreateApiKey", **fields)

    def revoke_key(self, key_id: str, reason: str) -> None:
        """Revoke a key."""
        self._ask("RevokeApiKey", key_id=key_id, reason=reason)

    def token_revocations(self, *, all_tenants: bool) -> pb.ListTokenRevocationsResponse:
        """Subjects whose tokens were revoked."""
        return self._all("ListTokenRevocations", "revocations", all_tenants)

    def revoke_tokens(self, tenant: str, subject: str, reason: str) -> pb.RevokeTokensResponse:
        """Refuse the tokens that a subject got until now."""
        return self._ask("RevokeTokens", tenant=tenant, subject=subject, reason=reason)

    def accounts(self, *, all_tenants: bool) -> list[pb.ConsoleAccount]:
        """Accounts of the console by name."""
        return list(self._all("ListAccounts", "accounts", all_tenants).accounts)

    def create_account(
        self, name: str, tenant: str, role: str, groups: Sequence[str], reason: str, *, platform: bool
    ) -> str:
        """Create an account; returns its password."""
        fields = {"name": name, "tenant": tenant, "role": role, "groups": groups, "reason": reason}
        return str(self._ask("CreateAccount", **fields, platform=platform).password)

    def remove_account(self, name: str, reason: str) -> None:
        """Remove an account and end its sessions."""
        self._ask("RemoveAccount", name=name, reason=reason)

    def unlock_account(self, name: str, reason: str) -> None:
        """Let a person try to sign in again at once."""
        self._ask("UnlockAccount", name=name, reason=reason)

    def sessions(self, *, all_tenants: bool) -> pb.ListSessionsResponse:
        """Open sessions, the one used last first."""
        return self._all("ListSessions", "sessions", all_tenants)

    def end_session(self, session: str, reason: str) -> None:
        """End a session."""
        self._ask("EndSession", id=session, reason=reason)

    def _all(self, method: str, rows: str, all_tenants: bool) -> Any:
        return whole(lambda token: self._ask(method, all_tenants=all_tenants, page_token=token), rows)

    def _ask(self, method: str, /, **fields: Any) -> Any:
        return self._call(getattr(self._stub, method), getattr(pb, f"{method}Request")(**fields))
