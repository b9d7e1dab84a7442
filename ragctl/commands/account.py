"""`rag account`: accounts of the local console."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from ragctl.output import Json, emit_json, say, table

if TYPE_CHECKING:
    from ragctl.local_stack.accounts import Account, Accounts

app = App(name="account", help="Accounts of the local console: add, list, remove, unlock.", help_format="plaintext")


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the accounts.

    Example: rag account list
    """
    rows: list[dict[str, Any]] = [
        {
            "name": account.name,
            "role": str(account.role),
            "tenant": account.tenant,
            "groups": list(account.groups),
            "platform": account.platform,
        }
        for account in _accounts().all().values()
    ]
    if json:
        emit_json(rows)
    else:
        cells = [
            [*list(row.values())[:3], ", ".join(row["groups"]), "admin" if row["platform"] else ""] for row in rows
        ]
        table(("name", "role", "tenant", "groups", "platform"), cells, empty="no account; `rag up` makes the first one")


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
    from ragctl.local_stack.accounts import Role

    password = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(15)
    accounts = _accounts()
    before = accounts.all().get(name)
    accounts.add(name, Role(role), password, tenant=tenant, groups=group, platform=platform)
    if before is not None:
        _end_sessions(before)
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
    _end_sessions(_accounts().remove(name))
    emit_json({"removed": name}) if json else say(f"{name} is removed")


@app.command
def unlock(name: str, /, *, json: Json = False) -> None:
    """Unlock an account that is locked after too many failed sign-ins.

    Example: rag account unlock admin
    """
    _accounts().unlock(name)
    emit_json({"unlocked": name}) if json else say(f"{name} may sign in again")


def _end_sessions(account: Account) -> None:
    """Refuse the tokens of an account that was removed or changed."""
    from rag_core.access import revoke_tokens
    from rag_core.errors import RagError
    from rag_core.settings import Settings
    from ragctl.commands._shared import actor, transaction

    try:
        with transaction() as connection:
            lifetime = Settings.load().longest_token_seconds
            revoke_tokens(connection, tenant=account.tenant, subject=account.name, lifetime=lifetime, actor=actor())
    except RagError as error:
        raise type(error)(
            error.reason,
            f"the account is changed, but its tokens stay valid: {error.message}; "
            f"when the database runs: `rag token revoke {account.name} --tenant {account.tenant}`",
        ) from None


def _accounts() -> Accounts:
    from rag_core.settings import Settings
    from ragctl.local_stack.accounts import Accounts
    from ragctl.local_stack.data_dir import DataDir

    data_dir = DataDir.of(Settings.load())
    data_dir.create()
    return Accounts(data_dir.accounts_file)
