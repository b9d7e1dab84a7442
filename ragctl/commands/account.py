"""`rag account`: accounts of the local console."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from rag_core.governance import access
from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, emit, emit_json, say, table

if TYPE_CHECKING:
    from rag_core.settings import Settings

app = App(
    name="account",
    help="Accounts of the local console: add, list, remove, unlock, second factor.",
    help_format="plaintext",
)


@app.command(name="list")
def list_(*, tenant: str | None = None, json: Json = False) -> None:
    """List the accounts with their last sign-in and the failures since.

    Example: rag account list

    Parameters
    ----------
    tenant
        Only accounts of this tenant.
    """
    with transaction() as connection:
        accounts = access.list_accounts(connection, tenant=tenant)
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
            "codes" if account.second_factor else "",
            f"{account.last_sign_in_at:%Y-%m-%d %H:%M}" if account.last_sign_in_at else "never",
            account.failures,
        ]
        for account in accounts
    ]
    last = ("second factor", "last sign-in (UTC)", "failures since")
    columns = ("name", "role", "tenant", "groups", "platform", "created by", *last)
    table(columns, cells, empty="no account; `rag up` makes the first one")


@app.command
def add(
    name: str,
    /,
    *,
    role: Literal["viewer", "operator", "admin"] | None = None,
    tenant: str | None = None,
    group: tuple[str, ...] | None = None,
    platform: bool | None = None,
    password_stdin: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Add an account, or change the password of one and what is named here, which ends its sessions.

    What is not named stays as it is. Prints a generated password once.

    Example: rag account add lin --role operator

    Parameters
    ----------
    role
        viewer: read-only. operator: may run actions. admin: may also read quarantined payloads and any document of the
        tenant. A new account is a viewer.
    tenant
        Tenant of the account; it has no access to any other. A new account is of the tenant default.
    group
        Groups whose documents the account may read; may be repeated. Replaces those it has.
    platform
        Also allow actions on what all tenants share: generations, deployments, runs of any source.
    password_stdin
        Read the password from standard input instead of generating one: 12 to 256 characters that are not easy to
        guess.
    """
    password = sys.stdin.readline().rstrip("\n") if password_stdin else access.new_password()
    with transaction() as connection:
        found = access.find_account(connection, name)
        before = found[0] if found else access.NewAccount(name, access.AccountRole.VIEWER, "default")
        wanted = access.NewAccount(
            name,
            access.AccountRole(role) if role else before.role,
            before.tenant if tenant is None else tenant,
            before.groups if group is None else group,
            platform=before.platform if platform is None else platform,
        )
        access.put_account(connection, wanted, password, actor=actor(), lifetime=_longest_token())
    shown = {} if password_stdin else {"password": password}
    if json:
        emit_json(asdict(wanted) | {"role": str(wanted.role)} | shown)
    else:
        properties = f"{wanted.role}{', platform' if wanted.platform else ''}"
        say(f"{name} ({properties})" + (f", password: {password}" if shown else ""))


@app.command
def remove(name: str, /, *, json: Json = False) -> None:
    """Remove an account and end its sessions: every token issued to it is refused within a second.

    Example: rag account remove lin
    """
    with transaction() as connection:
        access.remove_account(connection, name, actor=actor(), lifetime=_longest_token())
    emit({"removed": name}, f"{name} is removed", json=json)


@app.command
def unlock(name: str, /, *, json: Json = False) -> None:
    """Unlock an account that is locked after too many failed sign-ins.

    Example: rag account unlock admin
    """
    with transaction() as connection:
        access.unlock_account(connection, name, actor=actor())
    emit({"unlocked": name}, f"{name} may sign in again", json=json)


@app.command(name="second-factor")
def second_factor(name: str, /, *, remove: Annotated[bool, Parameter(negative="")] = False, json: Json = False) -> None:
    """Ask an account for a code of an authenticator app at each sign-in. Prints the setup key once.

    Ends the sessions of the account. Again for the same account: a new key takes the place of the one before.

    Example: rag account second-factor lin

    Parameters
    ----------
    remove
        Ask for the password alone again, for example when the phone is lost.
    """
    from rag_core.settings import Settings

    settings = Settings.load()
    secret, sealed = (None, None) if remove else _new_second_factor(settings, name)
    with transaction() as connection:
        access.put_second_factor(connection, name, sealed, actor=actor(), lifetime=settings.longest_token_seconds)
    shown = {} if secret is None else {"key": access.setup_key(secret), "uri": access.setup_uri(secret, name)}
    if json:
        emit_json({"name": name, "second_factor": not remove} | shown)
    elif secret is None:
        say(f"{name} signs in with the password alone")
    else:
        say(f"{name} needs a code from now on. Give this to an authenticator app, it is shown only now:")
        say(f"Setup key  {shown['key']}\nAddress    {shown['uri']}")


def _new_second_factor(settings: Settings, name: str) -> tuple[bytes, bytes]:
    """A secret, plain and sealed by the key of this data folder, which is made when there is none."""
    from rag_core.sealing import SealingKey
    from ragctl.tokens import second_factor_key_path

    secret = access.new_second_factor()
    return secret, SealingKey.made(second_factor_key_path(settings)).seal(secret, name)


def _longest_token() -> int:
    """Seconds."""
    from rag_core.settings import Settings

    return Settings.load().longest_token_seconds
