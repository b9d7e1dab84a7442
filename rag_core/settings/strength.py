"""Checks of secrets: production refuses missing, default, short or shared ones."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

from rag_core.errors import ConfigError, Reason

MIN_SECRET_LENGTH = 32
MIN_SECRET_VARIETY = 8
MIN_PASSWORD_LENGTH = 12
DEFAULT_PASSWORDS = frozenset({"administrator", "changemechangeme", "passwordpassword", "postgrespostgres"})


MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def require_strong(name: str, secret: SecretStr | None, when: str) -> None:
    """Raise `ConfigError` (`SECRET_MISSING`, `SECRET_WEAK`) unless a secret is set, long and not a repeated letter."""
    value = secret.get_secret_value() if secret else ""
    if not value:
        raise ConfigError(Reason.SECRET_MISSING, f"{name} must be set {when}; this makes one: {MAKE_ONE}")
    if len(value) < MIN_SECRET_LENGTH or len(set(value)) < MIN_SECRET_VARIETY:
        raise ConfigError(Reason.SECRET_WEAK, f"{name} needs at least {MIN_SECRET_LENGTH} random characters")


def require_strong_each(name: str, secrets: SecretStr | None) -> None:
    """Raise `ConfigError` (`SECRET_WEAK`) unless each secret in a list is strong."""
    for text in secrets.get_secret_value().split(",") if secrets else ():
        if text.strip():
            require_strong(name, SecretStr(text.strip()), "in production")


def require_distinct(secrets: Mapping[str, object]) -> None:
    """Raise `ConfigError` (`SECRET_WEAK`) when two settings have the same secret: each has its own purpose."""
    by_value: dict[object, str] = {}
    for name, value in secrets.items():
        if value and (other := by_value.setdefault(value, name)) != name:
            raise ConfigError(Reason.SECRET_WEAK, f"{name} must not be the same secret as {other}")


def require_strong_password(url: str) -> None:
    """Raise `ConfigError` (`SECRET_WEAK`) for a password that is short or a known default.

    No password is allowed: the server may trust a certificate or a cloud identity instead.
    """
    try:
        password = urlsplit(url).password
    except ValueError:
        return  # not a URL; opening the database reports it
    if password is not None and (len(password) < MIN_PASSWORD_LENGTH or password.lower() in DEFAULT_PASSWORDS):
        raise ConfigError(
            Reason.SECRET_WEAK, f"RAG_DATABASE_URL needs a password of at least {MIN_PASSWORD_LENGTH} characters"
        )


def require_bounded(name: str, secret: SecretStr | None) -> None:
    """Raise `ConfigError` (`SECRET_WEAK`) for a Qdrant token without expiry or with access to everything.

    For Qdrant a token without `access` may manage the whole server. A key that is not a token is the server's own key;
    only `require_strong` applies to it.
    """
    claims = _claims(secret.get_secret_value() if secret else "")
    if claims is None:
        return
    if not claims.get("access"):
        raise ConfigError(Reason.SECRET_WEAK, f"{name}: a token without `access` may manage the whole server")
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        raise ConfigError(Reason.SECRET_WEAK, f"{name}: a token without `exp` never ends")
    if expires <= time.time():
        raise ConfigError(Reason.SECRET_WEAK, f"{name}: the token has expired")


def _claims(value: str) -> dict[str, object] | None:
    """The claims of a signed token, unverified, because it is our own and the server verifies it; else `None`."""
    parts = value.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None
