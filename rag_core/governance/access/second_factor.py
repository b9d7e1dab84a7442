"""Second factor of a local account: time-based one-time codes (RFC 6238) of an authenticator app."""

from __future__ import annotations

import base64
import hmac
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from rag_core.errors import ConfigError, Reason
from rag_core.sealing import SealingKey

STEP_SECONDS = 30
_DIGITS = 6
_HASH = SHA1()  # noqa: S303  of HMAC, where it is not broken; authenticator apps have no other
_SECRET_BYTES = 20  # the length of SHA-1's output, which is what every app has
_ISSUER = "RAG platform"


def new_second_factor() -> bytes:
    """A random secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def setup_key(secret: bytes) -> str:
    """The secret as people type it into an app."""
    return base64.b32encode(secret).decode()


def setup_uri(secret: bytes, name: str) -> str:
    """The address that apps read, also as a QR code."""
    made = TOTP(secret, _DIGITS, _HASH, STEP_SECONDS).get_provisioning_uri(name, _ISSUER)
    return made.replace("+", "%20")  # apps show a `+` as it is


def code_at(secret: bytes, step: int) -> str:
    """The code of a step, which is the time in steps of 30 seconds."""
    return HOTP(secret, _DIGITS, _HASH).generate(step).decode()


def step_of_code(secret: bytes, code: str, now: float) -> int | None:
    """The step whose code this is: the present one, or the one before or after it; clocks differ. `None`: no such."""
    typed = code.replace(" ", "").encode("utf-8", "replace")
    present = int(now) // STEP_SECONDS
    around = (present, present - 1, present + 1)
    return next((step for step in around if hmac.compare_digest(code_at(secret, step).encode(), typed)), None)


def open_second_factor(key: Path, sealed: bytes, name: str) -> bytes:
    """The secret of an account. Raises `ConfigError` (`SECRET_MISSING`) without the key that sealed it."""
    try:
        return SealingKey(key).open(sealed, name)
    except (OSError, ValueError):
        message = "the key of this second factor is not here; `rag account second-factor NAME` makes a new one"
        raise ConfigError(Reason.SECRET_MISSING, message) from None
