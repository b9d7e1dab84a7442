"""Accounts of the console where no identity provider knows the people: roles, passwords as scrypt hashes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rag_core.errors import InvalidInput, Reason
from rag_core.governance.access.tokens import require_identity_names

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 256
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")
_MIN_DIFFERENT_CHARS = 6
_GUESSED_FIRST = (
    *("password", "passwort", "letmein", "welcome", "admin", "changeme", "secret", "iloveyou"),
    *("1234567890", "123456789", "12345678", "1234567", "123456", "12345", "1234", "123"),
    *("qwertyuiop", "qwerty", "qwertz", "asdfghjkl", "asdf", "zxcvbnm", "abcdef", "abc"),
)
"""Beginnings of the lists of leaked passwords, longer ones before what they contain."""
_SALT_BYTES = 16
_COST = {"n": 2**14, "r": 8, "p": 1}
"""16 MB and some 50 ms for each guess."""


class AccountRole(StrEnum):
    """Roles of the console, within one tenant."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


ROLE_SCOPES: dict[AccountRole, tuple[str, ...]] = {
    AccountRole.VIEWER: ("query.read", "ops.read"),
    AccountRole.OPERATOR: ("query.read", "ops.read", "ops.write"),
    AccountRole.ADMIN: ("query.read", "documents.write", "admin"),
}
PLATFORM_SCOPE = "platform.admin"
"""Scope over what tenants share; only granted by name."""


def scopes_of(role: AccountRole, *, platform: bool) -> tuple[str, ...]:
    """The scopes of a person's tokens; the query server, not the console, decides what they open."""
    return (*ROLE_SCOPES[role], *([PLATFORM_SCOPE] if platform else []))


@dataclass(frozen=True, slots=True)
class NewAccount:
    """The properties of an account to create or to replace. Raises `InvalidInput` (`FIELD_INVALID`)."""

    name: str
    role: AccountRole
    tenant: str
    groups: tuple[str, ...] = ()
    platform: bool = False
    """True when the person also acts on what tenants share."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(
                Reason.FIELD_INVALID, "name: lower-case letters, digits, dot, dash and underscore, a letter first"
            )
        require_identity_names(self.tenant, groups=self.groups)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the person's tokens."""
        return scopes_of(self.role, platform=self.platform)


@dataclass(frozen=True, slots=True)
class Account:
    """A stored account. `failures` counts failed sign-ins since the last one that succeeded."""

    name: str
    role: AccountRole
    tenant: str
    groups: tuple[str, ...]
    platform: bool
    created_by: str
    created_at: datetime
    last_sign_in_at: datetime | None
    failures: int
    last_failure_at: datetime | None
    unlocked_at: datetime | None
    """Failed sign-ins before this moment no longer count."""
    second_factor: bool
    """True when a code of an authenticator app is asked for beside the password."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the person's tokens."""
        return scopes_of(self.role, platform=self.platform)


class AccountSecrets(NamedTuple):
    """Stored proof of who signs in: salt and hash of the password, sealed secret of the codes or `None`."""

    salt: bytes
    password_hash: bytes
    second_factor: bytes | None


def require_role(name: str) -> AccountRole:
    """The role of this name. Raises `InvalidInput` (`FIELD_INVALID`)."""
    try:
        return AccountRole(name)
    except ValueError:
        raise InvalidInput(Reason.FIELD_INVALID, f"role: one of {', '.join(AccountRole)}") from None


def new_password() -> str:
    """A random password of 120 bits."""
    return secrets.token_urlsafe(15)


def hash_new_password(password: str, name: str) -> tuple[bytes, bytes]:
    """A salt and the hash. Raises `InvalidInput` (`FIELD_INVALID`) for a password too short, too long or guessable."""
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise InvalidInput(Reason.FIELD_INVALID, f"password: {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters")
    if _is_guessable(password.casefold(), name):
        message = "password: easy to guess (the account's name, a row of the keyboard, a word, few characters in turns)"
        raise InvalidInput(Reason.FIELD_INVALID, message)
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt, _hash(password, salt)


def _is_guessable(password: str, name: str) -> bool:
    """Return whether fewer than six different characters of a password are left without what is guessed first."""
    for known in (name, *_GUESSED_FIRST):
        password = password.replace(known, "")
    return len(set(password)) < _MIN_DIFFERENT_CHARS


def password_matches(password: str, stored: AccountSecrets | None) -> bool:
    """Compare with a stored salt and hash. `None`, an unknown name, takes the same time as a wrong password."""
    salt, expected = stored[:2] if stored else (b"\0" * _SALT_BYTES, b"")
    return hmac.compare_digest(_hash(password[:MAX_PASSWORD_CHARS], salt), expected)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, **_COST)
