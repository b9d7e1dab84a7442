"""Rows of console accounts. Each change is audited and ends the sessions it concerns, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.database import page_of
from rag_core.database.tables.operations import console_accounts
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.access import store
from rag_core.governance.access.accounts import (
    Account,
    AccountRole,
    AccountSecrets,
    NewAccount,
    hash_new_password,
    new_password,
)
from rag_core.governance.audit import audit_store as audit
from rag_core.sealing import SealingKey

FIRST_ACCOUNT = "admin"
_HIDDEN = {"salt", "password_hash", "second_factor", "second_factor_step"}
_SHOWN = [
    *(column for column in console_accounts.c if column.name not in _HIDDEN),
    console_accounts.c.second_factor.is_not(None).label("has_second_factor"),
]


def list_accounts(
    connection: Connection, *, tenant: str | None = None, limit: int | None = None, after: Sequence[Any] | None = None
) -> list[Account]:
    """Accounts by name, without their passwords."""
    statement = page_of(select(*_SHOWN), [console_accounts.c.name], after=after, limit=limit)
    if tenant is not None:
        statement = statement.where(console_accounts.c.tenant == tenant)
    return [_account(row) for row in connection.execute(statement)]


def find_account(connection: Connection, name: str) -> tuple[Account, AccountSecrets] | None:
    """The account and what proves who signs in, or `None`."""
    columns = console_accounts.c
    statement = select(*_SHOWN, columns.salt, columns.password_hash, columns.second_factor)
    row = connection.execute(statement.where(columns.name == name)).one_or_none()
    return None if row is None else (_account(row), AccountSecrets(row.salt, row.password_hash, row.second_factor))


def get_account(connection: Connection, name: str) -> Account:
    """The account, locked until the transaction ends. Raises `NotFound` (`ACCOUNT_NOT_FOUND`)."""
    statement = select(*_SHOWN).where(console_accounts.c.name == name).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.ACCOUNT_NOT_FOUND, f"there is no account {name!r}")
    return _account(row)


def create_account(connection: Connection, wanted: NewAccount, password: str, *, actor: str, why: str = "") -> None:
    """Create an account. Raises `InvalidInput` (`FIELD_INVALID`), `Conflict` (`ACCOUNT_EXISTS`)."""
    if not _insert(connection, _values(wanted, password, actor)):
        raise Conflict(Reason.ACCOUNT_EXISTS, f"there is an account {wanted.name!r} already")
    _record(connection, "account.create", wanted, actor, why)


def put_account(connection: Connection, wanted: NewAccount, password: str, *, actor: str, lifetime: int) -> None:
    """Create an account, or give one a new password and role, which ends its sessions.

    `lifetime` is the longest lifetime of a token, in seconds. Raises `InvalidInput` (`FIELD_INVALID`).
    """
    before = find_account(connection, wanted.name)
    if before is None:
        create_account(connection, wanted, password, actor=actor)
        return
    values = _values(wanted, password, actor) | {"failures": 0, "unlocked_at": func.now()}
    del values["created_by"]
    connection.execute(update(console_accounts).where(console_accounts.c.name == wanted.name).values(values))
    who = {"tenant": before[0].tenant, "subject": wanted.name}
    store.revoke_tokens(connection, **who, lifetime=lifetime, actor=actor)
    _record(connection, "account.change", wanted, actor, "")


def remove_account(connection: Connection, name: str, *, actor: str, lifetime: int, why: str = "") -> None:
    """Remove an account and end its sessions. `lifetime` as above. Raises `NotFound` (`ACCOUNT_NOT_FOUND`)."""
    account = get_account(connection, name)
    connection.execute(delete(console_accounts).where(console_accounts.c.name == name))
    store.revoke_tokens(connection, tenant=account.tenant, subject=name, lifetime=lifetime, actor=actor)
    details = {"reason": why} if why else {}
    audit.record(connection, actor=actor, action="account.remove", target=name, details=details, tenant=account.tenant)


def unlock_account(connection: Connection, name: str, *, actor: str, why: str = "") -> None:
    """Let a person try again at once from every address. Raises `NotFound` (`ACCOUNT_NOT_FOUND`)."""
    account = get_account(connection, name)
    changed = update(console_accounts).where(console_accounts.c.name == name)
    connection.execute(changed.values(failures=0, unlocked_at=func.clock_timestamp()))
    details = {"reason": why} if why else {}
    audit.record(connection, actor=actor, action="account.unlock", target=name, details=details, tenant=account.tenant)


def put_second_factor(connection: Connection, name: str, sealed: bytes | None, *, actor: str, lifetime: int) -> None:
    """Ask for codes of this sealed secret from now on, `None` for none, and end the account's sessions.

    `lifetime` as above. Raises `NotFound` (`ACCOUNT_NOT_FOUND`).
    """
    account = get_account(connection, name)
    changed = update(console_accounts).where(console_accounts.c.name == name)
    connection.execute(changed.values(second_factor=sealed, second_factor_step=None))
    store.revoke_tokens(connection, tenant=account.tenant, subject=name, lifetime=lifetime, actor=actor)
    action = "account.second_factor.remove" if sealed is None else "account.second_factor.add"
    audit.record(connection, actor=actor, action=action, target=name, details={}, tenant=account.tenant)


def reseal_second_factors(connection: Connection, key: SealingKey, *, actor: str) -> list[str]:
    """Seal every second factor by the newest key; returns the accounts whose secret no key opens."""
    columns, unreadable = console_accounts.c, []
    sealed = select(columns.name, columns.second_factor).where(columns.second_factor.is_not(None)).with_for_update()
    for name, secret in connection.execute(sealed.order_by(columns.name)).all():
        resealed = key.reseal(secret, name)
        if resealed is None:
            unreadable.append(name)
        else:
            changed = update(console_accounts).where(columns.name == name)
            connection.execute(changed.values(second_factor=resealed))
    details = {"unreadable": unreadable}
    audit.record(connection, actor=actor, action="account.second_factor.reseal", target="*", details=details)
    return unreadable


def create_first_account(connection: Connection, *, tenant: str, actor: str) -> str | None:
    """Create the account `admin` when there is none at all; returns its password, which is stored nowhere."""
    if connection.execute(select(console_accounts.c.name).limit(1)).one_or_none() is not None:
        return None
    password = new_password()
    create_account(
        connection, NewAccount(FIRST_ACCOUNT, AccountRole.ADMIN, tenant, platform=True), password, actor=actor
    )
    return password


def record_sign_in(connection: Connection, name: str, known: AccountSecrets, step: int | None = None) -> bool:
    """Record a sign-in. Returns whether the account still has these credentials and the code of `step` is unused."""
    columns = console_accounts.c
    changed = update(console_accounts).where(
        columns.name == name,
        columns.password_hash == known.password_hash,
        columns.second_factor.is_not_distinct_from(known.second_factor),
    )
    if step is not None:
        changed = changed.where(func.coalesce(columns.second_factor_step, 0) < step)
    values = {"last_sign_in_at": func.now(), "failures": 0, "second_factor_step": step}
    return connection.execute(changed.values(values)).rowcount == 1


def record_failure(connection: Connection, name: str) -> None:
    """Record a wrong password; of an unknown name nothing is recorded."""
    changed = update(console_accounts).where(console_accounts.c.name == name)
    connection.execute(changed.values(last_failure_at=func.now(), failures=console_accounts.c.failures + 1))


def _insert(connection: Connection, values: dict[str, Any]) -> bool:
    """Insert an account. Returns false when its name is taken."""
    added = upsert(console_accounts).values(values).on_conflict_do_nothing().returning(console_accounts.c.name)
    return connection.execute(added).one_or_none() is not None


def _values(wanted: NewAccount, password: str, actor: str) -> dict[str, Any]:
    salt, digest = hash_new_password(password, wanted.name)
    return _properties(wanted, actor) | {"salt": salt, "password_hash": digest}


def _properties(wanted: NewAccount, actor: str) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "tenant": wanted.tenant,
        "role": str(wanted.role),
        "groups": list(wanted.groups),
        "platform": wanted.platform,
        "created_by": actor,
    }


def _record(connection: Connection, action: str, wanted: NewAccount, actor: str, why: str) -> None:
    details = {"role": str(wanted.role), "groups": list(wanted.groups), "platform": wanted.platform}
    if why:
        details["reason"] = why
    audit.record(connection, actor=actor, action=action, target=wanted.name, details=details, tenant=wanted.tenant)


def _account(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        role=AccountRole(row.role),
        tenant=row.tenant,
        groups=tuple(row.groups),
        platform=row.platform,
        created_by=row.created_by,
        created_at=row.created_at,
        last_sign_in_at=row.last_sign_in_at,
        failures=row.failures,
        last_failure_at=row.last_failure_at,
        unlocked_at=row.unlocked_at,
        second_factor=row.has_second_factor,
    )
