"""Accounts of the local console: `$RAG_HOME/secrets/console-accounts.json`, passwords as scrypt hashes.

In production an identity provider knows the people (`RAG_CONSOLE_SIGN_IN=oidc`) and this file does not exist.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from rag_core.errors import ConfigError, InvalidInput, NotFound, Reason, Unauthenticated
from ragctl.tokens import DEFAULT_TENANT, PLATFORM_SCOPE, write_private

FIRST_ACCOUNT = "admin"
MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 256
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")
_COST = {"n": 2**14, "r": 8, "p": 1}
"""16 MB and some 50 ms for each guess."""


class Role(StrEnum):
    """Roles of the console, within one tenant."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


SCOPES: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: ("query.read", "ops.read"),
    Role.OPERATOR: ("query.read", "ops.read", "ops.write"),
    Role.ADMIN: ("query.read", "documents.write", "admin"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """A person. `salt` and `hash` are base64; `platform` is whether the person also acts on what tenants share."""

    name: str
    role: Role
    salt: str
    hash: str
    tenant: str = DEFAULT_TENANT
    groups: tuple[str, ...] = ()
    platform: bool = False
    unlocked_at: float = 0.0
    """Failed sign-ins before this moment (Unix time) no longer count."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the person's tokens; the query server, not the console, decides what they open."""
        return (*SCOPES[self.role], *([PLATFORM_SCOPE] if self.platform else []))


@dataclass(frozen=True, slots=True)
class Accounts:
    """The file of accounts. Every change rewrites it as a whole, under a lock."""

    path: Path

    def create_first(self) -> str | None:
        """Make the account `admin` when there is no file yet; returns its password, which is stored nowhere."""
        if self.path.exists():
            return None
        password = secrets.token_urlsafe(15)
        self.add(FIRST_ACCOUNT, Role.ADMIN, password, platform=True)
        return password

    def add(
        self,
        name: str,
        role: Role,
        password: str,
        *,
        tenant: str = DEFAULT_TENANT,
        groups: tuple[str, ...] = (),
        platform: bool = False,
    ) -> None:
        """Add a person, or give one a new password and role.

        Raises `InvalidInput` (`FIELD_INVALID`) for a name or password that will not do.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(Reason.FIELD_INVALID, "name: lower-case letters, digits, dot, dash and underscore")
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise InvalidInput(
                Reason.FIELD_INVALID, f"password: {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters"
            )
        salt = secrets.token_bytes(16)
        account = Account(name, role, _text(salt), _text(_hash(password, salt)), tenant, groups, platform)
        with self._changing() as accounts:
            accounts[name] = account

    def remove(self, name: str) -> Account:
        """Remove a person and return the account; the caller revokes its tokens. Raises `NotFound`."""
        with self._changing() as accounts:
            _known(accounts, name)
            return accounts.pop(name)

    def unlock(self, name: str) -> None:
        """Unlock an account for every address. Raises `NotFound`."""
        with self._changing() as accounts:
            accounts[name] = replace(_known(accounts, name), unlocked_at=time.time())

    def all(self) -> dict[str, Account]:
        """Every account by name. Raises `ConfigError` when the file is damaged."""
        try:
            return {item["name"]: _account(item) for item in json.loads(self.path.read_text("utf-8"))}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError):
            raise ConfigError(
                Reason.CONFIG_INVALID, "console-accounts.json is damaged; remove it, then `rag up`"
            ) from None

    def verify(self, name: str, password: str) -> Account:
        """The account of a person. Raises `Unauthenticated`, with the same text and effort whatever was wrong."""
        account = self.all().get(name)
        salt = base64.b64decode(account.salt) if account else b"\0" * 16
        given = _text(_hash(password[:MAX_PASSWORD_CHARS], salt))
        if account is None or not hmac.compare_digest(given, account.hash):
            raise Unauthenticated(Reason.SIGN_IN_FAILED, "name or password is wrong")
        return account

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Account]]:
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            accounts = self.all()
            yield accounts
            rows = [asdict(account) for _, account in sorted(accounts.items())]
            write_private(self.path, json.dumps(rows, indent=2) + "\n")


def _known(accounts: dict[str, Account], name: str) -> Account:
    if name not in accounts:
        raise NotFound(Reason.ACCOUNT_NOT_FOUND, f"there is no account {name!r}")
    return accounts[name]


def _account(item: dict[str, object]) -> Account:
    groups = tuple(str(group) for group in item.get("groups", ()))  # type: ignore[attr-defined]
    name, role = str(item["name"]), Role(str(item["role"]))
    # A file of a release without platform scopes: the account that `rag up` made keeps what it could do.
    platform = item.get("platform", name == FIRST_ACCOUNT and role is Role.ADMIN) is True
    unlocked = float(item.get("unlocked_at", 0))  # type: ignore[arg-type]
    return Account(name, role, str(item["salt"]), str(item["hash"]), str(item["tenant"]), groups, platform, unlocked)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, **_COST)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
