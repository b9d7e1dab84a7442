"""`rag account`: accounts of the local console."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, emit_json, say, table

app = App(name="account", help="Accounts of the local console: add, list, remove, unlock.", help_format="plaintext")


@app.command(name="list")
def list_(*, tenant: str | None = None, json: Json = False) -> None:
    """List the accounts with their last sign-in and the failures since.

    Example: rag account list

    Parameters
    ----------
    tenant
        Only accounts of this tenant.
    """
    from dataclasses import asdict

    from rag_core.access import list_accounts

    with transaction() as connection:
        accounts = list_accounts(connection, tenant=tenant)
    if json:
        emit_json([asdict(account) | {"role": str(account.role)} for account in accounts])
        return
    cells = [
        [
            account.name,
            str(account.role),
            account.tenant,
            ", ".join(account.groups),
            "admin" if account.platform else "",
            account.created_by,
            f"{account.last_sign_in_at:%Y-%m-%d %H:%M}" if account.last_sign_in_at else "never",
            account.failures,
        ]
        for account in accounts
    ]
    columns = ("name", "role", "tenant", "groups", "platform", "created by", "last sign-in (UTC)", "failures since")
    table(columns, cells, empty="no account; `rag up` makes the first one")


@app.command
def add(
    name: str,
    /,
    *,
    role: Literal["viewer", "operator", "admin"] = "viewer",
    tenant: str = "default",
    group: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    platform: Annotated[bool, Parameter(negative="")] = False,
    password_stdin: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Add an account, or change its password and role, which ends its sessions. Prints a generated password once.

    Example: rag account add lin --role operator

    Parameters
    ----------
    role
        viewer: read-only. operator: may run actions. admin: may also read quarantined payloads and any document of the
        tenant.
    tenant
        Tenant of the account; it has no access to any other.
    group
        Groups whose documents the account may read; may be repeated.
    platform
        Also allow actions on what all tenants share: generations, deployments, runs of any source.
    password_stdin
        Read the password from standard input instead of generating one.
    """
    from rag_core.access import NewAccount, Role, new_password, put_account

    password = sys.stdin.readline().rstrip("\n") if password_stdin else new_password()
    wanted = NewAccount(name, Role(role), tenant, group, platform=platform)
    with transaction() as connection:
        put_account(connection, wanted, password, actor=actor(), lifetime=_longest_token())
    shown = {} if password_stdin else {"password": password}
    if json:
        emit_json({"name": name, "role": role, **shown})
    else:
        say(f"{name} ({role})" + (f", password: {password}" if shown else ""))


@app.command
def remove(name: str, /, *, json: Json = False) -> None:
    """Remove an account and end its sessions: every token issued to it is refused within a second.

    Example: rag account remove lin
    """
    from rag_core.access import remove_account

    with transaction() as connection:
        remove_account(connection, name, actor=actor(), lifetime=_longest_token())
    emit_json({"removed": name}) if json else say(f"{name} is removed")


@app.command
def unlock(name: str, /, *, json: Json = False) -> None:
    """Unlock an account that is locked after too many failed sign-ins.

    Example: rag account unlock admin
    """
    from rag_core.access import unlock_account

    with transaction() as connection:
        unlock_account(connection, name, actor=actor())
    emit_json({"unlocked": name}) if json else say(f"{name} may sign in again")


def _longest_token() -> int:
    """Seconds."""
    from rag_core.settings import Settings

    return Settings.load().longest_token_seconds
