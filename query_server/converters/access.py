"""Messages of admin.v1.AccessService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from query_server.converters.times import to_timestamp
from ragproto.admin.v1 import access_pb2 as pb

if TYPE_CHECKING:
    from rag_core.access import Account, Session, TokenRevocation


def from_key(row: Mapping[str, Any]) -> pb.AccessKey:
    """A stored key with its state."""
    return pb.AccessKey(
        key_id=row["key_id"],
        name=row["name"],
        tenant=row["tenant"],
        scopes=row["scopes"],
        groups=row["groups"],
        created_by=row["created_by"],
        created_at=to_timestamp(row["created_at"]),
        expires_at=to_timestamp(row["expires_at"]),
        last_used_at=to_timestamp(row["last_used_at"]),
        revoked_at=to_timestamp(row["revoked_at"]),
        state=_state(row),
    )


def from_token_revocation(row: TokenRevocation) -> pb.TokenRevocation:
    """A subject whose older tokens are refused."""
    return pb.TokenRevocation(
        tenant=row.tenant,
        subject=row.subject,
        issued_before=to_timestamp(row.before),
        matters_until=to_timestamp(row.forget_at),
        revoked_by=row.revoked_by,
    )


def from_account(row: Account) -> pb.ConsoleAccount:
    """An account without its password."""
    return pb.ConsoleAccount(
        name=row.name,
        tenant=row.tenant,
        role=str(row.role),
        groups=row.groups,
        platform=row.platform,
        scopes=row.scopes,
        created_by=row.created_by,
        created_at=to_timestamp(row.created_at),
        last_sign_in_at=to_timestamp(row.last_sign_in_at),
        failures=row.failures,
        last_failure_at=to_timestamp(row.last_failure_at),
    )


def from_session(row: Session, own: str) -> pb.ConsoleSession:
    """An open session; `own` is the id of the caller's."""
    return pb.ConsoleSession(
        id=row.id,
        tenant=row.tenant,
        subject=row.subject,
        scopes=row.scopes,
        issued_at=to_timestamp(row.issued_at),
        expires_at=to_timestamp(row.expires_at),
        first_used_at=to_timestamp(row.first_used_at),
        last_used_at=to_timestamp(row.last_used_at),
        own=row.id == own,
    )


def _state(row: Mapping[str, Any]) -> pb.AccessKeyState:
    if row["revoked_at"] is not None:
        return pb.ACCESS_KEY_STATE_REVOKED
    return pb.ACCESS_KEY_STATE_EXPIRED if row["expires_at"] <= datetime.now(UTC) else pb.ACCESS_KEY_STATE_VALID
