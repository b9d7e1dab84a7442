"""Calls of `admin.v1.AccessService`: keys, accounts, sessions, revoked tokens."""

from __future__ import annotations

from collections.abc import Sequence

from console.clients.calls import ServiceCalls
from ragproto.admin.v1 import access_pb2 as pb


class AccessApi(ServiceCalls):
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def keys(self, *, all_tenants: bool) -> pb.ListApiKeysResponse:
        """API keys, newest first."""
        return self.ask_all("ListApiKeys", "keys", all_tenants=all_tenants)

    def create_key(
        self, name: str, tenant: str, scopes: Sequence[str], groups: Sequence[str], days: int, reason: str
    ) -> pb.CreateApiKeyResponse:
        """Create a key, whose text is in the answer only."""
        fields = {"name": name, "tenant": tenant, "scopes": scopes, "groups": groups, "days": days, "reason": reason}
        return self.ask("CreateApiKey", **fields)

    def revoke_key(self, key_id: str, reason: str) -> None:
        """Revoke a key."""
        self.ask("RevokeApiKey", key_id=key_id, reason=reason)

    def token_revocations(self, *, all_tenants: bool) -> pb.ListTokenRevocationsResponse:
        """Subjects whose tokens were revoked."""
        return self.ask_all("ListTokenRevocations", "revocations", all_tenants=all_tenants)

    def revoke_tokens(self, tenant: str, subject: str, reason: str) -> pb.RevokeTokensResponse:
        """Refuse the tokens that a subject got until now."""
        return self.ask("RevokeTokens", tenant=tenant, subject=subject, reason=reason)

    def accounts(self, *, all_tenants: bool) -> list[pb.ConsoleAccount]:
        """Accounts of the console by name."""
        return list(self.ask_all("ListAccounts", "accounts", all_tenants=all_tenants).accounts)

    def create_account(
        self, name: str, tenant: str, role: str, groups: Sequence[str], reason: str, *, platform: bool
    ) -> str:
        """Create an account; returns its password."""
        fields = {"name": name, "tenant": tenant, "role": role, "groups": groups, "reason": reason}
        return str(self.ask("CreateAccount", **fields, platform=platform).password)

    def remove_account(self, name: str, reason: str) -> None:
        """Remove an account and end its sessions."""
        self.ask("RemoveAccount", name=name, reason=reason)

    def unlock_account(self, name: str, reason: str) -> None:
        """Let a person try to sign in again at once."""
        self.ask("UnlockAccount", name=name, reason=reason)

    def sessions(self, *, all_tenants: bool) -> pb.ListSessionsResponse:
        """Open sessions, the one used last first."""
        return self.ask_all("ListSessions", "sessions", all_tenants=all_tenants)

    def end_session(self, session: str, reason: str) -> None:
        """End a session."""
        self.ask("EndSession", id=session, reason=reason)
