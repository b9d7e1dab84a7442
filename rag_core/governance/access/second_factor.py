"""Second factor of a local account: time-based one-time codes (RFC 6238) of an authenticator app."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rag_core.errors import ConfigError, Reason

STEP_SECONDS = 30
_DIGITS = 6
_SECRET_BYTES = 20  # the length of SHA-1's output, which is what every app has
_NONCE_BYTES = 12
_ISSUER = "RAG platform"


def new_second_factor() -> bytes:
    """A random secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def setup_key(secret: bytes) -> str:
    """The secret as people type it into an app."""
    return base64.b32encode(secret).decode()


def setup_uri(secret: bytes, name: str) -> str:
    """The address that apps read, also as a QR code."""
    label = quote(f"{_ISSUER}:{name}")
    return f"otpauth://totp/{label}?secret={setup_key(secret)}&issuer={quote(_ISSUER)}"


def code_at(secret: bytes, step: int) -> str:
    """The code of a step, which is the time in steps of 30 seconds."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 10**_DIGITS:0{_DIGITS}}"


def step_of_code(secret: bytes, code: str, now: float) -> int | None:
    """The step whose code this is: the present one, or the one before or after it; clocks differ. `None`: no such."""
    typed = code.replace(" ", "").encode("utf-8", "replace")
    present = int(now) // STEP_SECONDS
    around = (present, present - 1, present + 1)
    return next((step for step in around if hmac.compare_digest(code_at(secret, step).encode(), typed)), None)


class SecondFactorKey:
    """The key in a file of mode 0600 that seals secrets, so that rows and dumps of the database open nothing."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises `ConfigError` (`SECRET_MISSING`)."""
        try:
            self._aead = AESGCM(bytes.fromhex(path.read_text("ascii")))
        except (OSError, ValueError):
            message = "no key for second factors here; `rag account second-factor NAME` makes it"
            raise ConfigError(Reason.SECRET_MISSING, message) from None

    def seal(self, secret: bytes, name: str) -> bytes:
        """Encrypt the secret of an account."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """Decrypt. Raises `ConfigError` (`SECRET_MISSING`) for what another key, or for another account, sealed."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except InvalidTag:
            message = "the second factor is of another key; `rag account second-factor NAME` makes a new one"
            raise ConfigError(Reason.SECRET_MISSING, message) from None


def new_second_factor_key() -> str:
    """The content of a new key file."""
    return secrets.token_hex(32)
