"""Keys, accounts, sessions and revoked tokens as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from console.i18n import N_
from console.presenters.formats import plain
from ragproto.admin.v1 import access_pb2 as pb

TENANT_SCOPES = (
    *("query.read", "documents.read", "documents.write", "ops.read", "ops.write", "sources.write", "access.write"),
    "directories.write",
    "admin",
)
PLATFORM_SCOPES = ("platform.read", "platform.admin")
ROLES = N_(("viewer", "operator", "admin"))
KEY_STATES = N_(
    {
        pb.ACCESS_KEY_STATE_VALID: "valid",
        pb.ACCESS_KEY_STATE_REVOKED: "revoked",
        pb.ACCESS_KEY_STATE_EXPIRED: "expired",
    }
)
MANY_FAILURES = 5
"""After so many failed sign-ins in a row an address has to wait."""


def key_rows(keys: Iterable[pb.AccessKey]) -> list[dict[str, Any]]:
    """One row per key."""
    return [
        {
            "key_id": item.key_id,
            "name": plain(item.name),
            "tenant": item.tenant,
            "scopes": ", ".join(item.scopes),
            "groups": plain(", ".join(item.groups)),
            "state": KEY_STATES.get(item.state, "unknown"),
            "created_by": plain(item.created_by),
            "created_at": _moment(item.created_at),
            "last_used_at": _moment(item.last_used_at),
            "expires_at": _moment(item.expires_at),
        }
        for item in keys
    ]


def account_rows(accounts: Iterable[pb.ConsoleAccount]) -> list[dict[str, Any]]:
    """One row per account."""
    return [
        {
            "name": item.name,
            "tenant": item.tenant,
            "role": item.role,
            "platform": item.platform,
            "scopes": ", ".join(item.scopes),
            "groups": plain(", ".join(item.groups)),
            "created_by": plain(item.created_by),
            "created_at": _moment(item.created_at),
            "last_used_at": _moment(item.last_sign_in_at),
            "second_factor": item.second_factor,
            "failures": item.failures,
            "last_failure_at": _moment(item.last_failure_at),
        }
        for item in accounts
    ]


def session_rows(sessions: Iterable[pb.ConsoleSession]) -> list[dict[str, Any]]:
    """One row per session."""
    return [
        {
            "id": item.id[:12],
            "subject": plain(item.subject),
            "tenant": item.tenant,
            "scopes": ", ".join(item.scopes),
            "own": item.own,
            "issued_at": _moment(item.issued_at),
            "last_used_at": _moment(item.last_used_at),
            "expires_at": _moment(item.expires_at),
        }
        for item in sessions
    ]


def revocation_rows(revocations: Iterable[pb.TokenRevocation]) -> list[dict[str, Any]]:
    """One row per subject."""
    return [
        {
            "subject": plain(item.subject),
            "tenant": item.tenant,
            "issued_before": _moment(item.issued_before),
            "revoked_by": plain(item.revoked_by),
            "expires_at": _moment(item.matters_until),
        }
        for item in revocations
    ]


def matching(rows: Sequence[Mapping[str, Any]], text: str) -> list[int]:
    """The numbers of the rows that have every word in one of their cells."""
    words = text.casefold().split()
    cells = ["\n".join(str(value) for value in row.values() if isinstance(value, str)).casefold() for row in rows]
    return [number for number, cell in enumerate(cells) if all(word in cell for word in words)]


def names(text: str) -> list[str]:
    """The names in a text, separated by commas or lines."""
    return list(dict.fromkeys(name.strip() for name in text.replace("\n", ",").split(",") if name.strip()))


def _moment(message: Timestamp) -> float | None:
    return float(message.seconds) if message.seconds else None
