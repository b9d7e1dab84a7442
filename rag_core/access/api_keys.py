"""API keys as text: `rag_<id>_<secret>`, made once, shown once, kept as a hash.

The secret has 256 random bits, so a plain SHA-256 is enough: there is nothing to guess that a slow hash would protect.
The id finds the row; it says nothing by itself.
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
_KEY = re.compile(rf"{PREFIX}_([A-Za-z0-9]{{12}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in two parts. Its text must not be stored or logged."""

    key_id: str
    secret: str

    @property
    def text(self) -> str:
        """What the owner sends as `x-api-key`."""
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is stored of the secret."""
        return hashlib.sha256(self.secret.encode("ascii")).digest()

    def matches(self, stored: bytes) -> bool:
        """Compare with a stored digest in constant time."""
        return hmac.compare_digest(self.digest, stored)

    def __repr__(self) -> str:
        return f"ApiKey(key_id={self.key_id!r})"


def new_api_key() -> ApiKey:
    """A random key."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return ApiKey("".join(secrets.choice(alphabet) for _ in range(12)), secrets.token_urlsafe(_SECRET_BYTES))


def parse_api_key(text: str) -> ApiKey:
    """The parts of a key. Raises `Unauthenticated` (`API_KEY_INVALID`) for anything else."""
    found = _KEY.fullmatch(text)
    if found is None:
        raise invalid_key()
    return ApiKey(found.group(1), found.group(2))


def invalid_key() -> Unauthenticated:
    """One error for unknown, wrong, expired and revoked keys, so that guessing learns nothing."""
    return Unauthenticated(Reason.API_KEY_INVALID, "x-api-key: not a valid key")
