"""The text form of API keys: `rag_<id>_<secret>`, shown once and stored as a hash.

The secret has 256 random bits, so a plain SHA-256 is enough: a slow hash protects only secrets that can be guessed. The
id selects the row and is not secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from rag_core.errors import Reason, Unauthenticated

PREFIX = "rag"
_SECRET_BYTES = 32
KEY_MARK = f"{PREFIX}_"
"""Prefix of every key, and of no token."""
_KEY = re.compile(rf"{PREFIX}_([A-Za-z0-9]{{12}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key: id and secret. Its text must not be stored or logged."""

    key_id: str
    secret: str

    @property
    def text(self) -> str:
        """The value of the `x-api-key` header."""
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """The stored hash of the secret."""
        return hashlib.sha256(self.secret.encode("ascii")).digest()

    def matches(self, stored: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest, stored)

    def __repr__(self) -> str:
        return f"ApiKey(key_id={self.key_id!r})"


def new_api_key() -> ApiKey:
    """Generate a random key."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return ApiKey("".join(secrets.choice(alphabet) for _ in range(12)), secrets.token_urlsafe(_SECRET_BYTES))


def parse_api_key(text: str) -> ApiKey:
    """Parse the text of a key. Raises `Unauthenticated` (`API_KEY_INVALID`)."""
    found = _KEY.fullmatch(text)
    if found is None:
        raise invalid_key()
    return ApiKey(found.group(1), found.group(2))


def invalid_key() -> Unauthenticated:
    """The same error for unknown, wrong, expired and revoked keys, so that it does not help guessing."""
    return Unauthenticated(Reason.API_KEY_INVALID, "x-api-key: not a valid key")
