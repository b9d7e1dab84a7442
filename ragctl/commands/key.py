"""`rag key`: API keys, for clients that cannot get a token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from rag_core.governance import access
from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, emit, emit_json, note, say, table

app = App(name="key", help="API keys: create, list, revoke.", help_format="plaintext")


@app.command
def create(
    name: str,
    /,
    *,
    tenant: str = "default",
    scope: Annotated[tuple[str, ...], Parameter(negative="")] = ("query.read",),
    group: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    days: int = 90,
    json: Json = False,
) -> None:
    """Create an API key and print it once: only its hash is stored. Recorded in the audit log.

    Example: curl -H "x-api-key: $(rag key create nightly-report)" -d '{"query": "..."}' http://127.0.0.1:8080/api/v2/search

    Parameters
    ----------
    name
        Name of the key: its purpose.
    tenant
        Tenant of the key; it has no access to any other.
    scope
        Scope of the key; may be repeated.
    group
        Groups whose documents the key may read; may be repeated.
    days
        Days until it expires, 730 at most.
    """
    from ragctl.tokens import require_known_scopes

    require_known_scopes(scope)
    wanted = access.NewKey(name, tenant, scope, group, days)
    with transaction() as connection:
        key = access.create_key(connection, wanted, actor=actor())
    if json:
        emit_json({"key_id": key.key_id, "key": key.text, "tenant": tenant, "scopes": list(scope), "days": days})
        return
    note(f"key {key.key_id} for tenant {tenant}; it is shown only once")
    say(key.text)


@app.command(name="list")
def list_(*, tenant: str | None = None, json: Json = False) -> None:
    """List API keys with their last use, newest first. The keys themselves are not stored.

    Example: rag key list --tenant acme

    Parameters
    ----------
    tenant
        Only keys of this tenant.
    """
    with transaction() as connection:
        keys = access.list_keys(connection, tenant=tenant)
    if json:
        emit_json([{**key, "state": _state(key)} for key in keys])
        return
    columns = ("key", "name", "tenant", "scopes", "state", "created by", "expires", "last used")
    table(columns, [_row(key) for key in keys], empty="no keys")


@app.command
def revoke(key_id: str, /, *, json: Json = False) -> None:
    """Revoke an API key; the servers refuse it within a second. Recorded in the audit log.

    Example: rag key revoke 4Jw0mXr2kQpZ
    """
    with transaction() as connection:
        access.revoke_key(connection, key_id, actor=actor())
    emit({"revoked": key_id}, f"{key_id}: revoked", json=json)


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"] is not None:
        return "revoked"
    return "expired" if key["expires_at"] <= datetime.now(UTC) else "valid"


def _row(key: dict[str, Any]) -> list[object]:
    return [
        key["key_id"],
        key["name"],
        key["tenant"],
        " ".join(key["scopes"]),
        _state(key),
        key["created_by"],
        f"{key['expires_at']:%Y-%m-%d}",
        key["last_used_at"] or "never",
    ]
