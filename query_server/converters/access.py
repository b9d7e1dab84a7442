"""Messages of admin.v1.AccessService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from query_server.converters.fields import message_of
from ragproto.admin.v1 import access_pb2 as pb

if TYPE_CHECKING:
    from rag_core.governance.access import Account, Session, TokenRevocation


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
