"""Keyed hashes of tenants, subjects and questions for logs, metrics and screens.

They are keyed because names are few and easy to guess: a plain hash could be reversed by trying them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from functools import lru_cache

_SHOWN_DIGITS = 12
_KEPT_NAMES = 4096


class NameHash:
    """Hashes with the first of the secrets; without secrets with a random one of this process."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = tuple(keys) or (secrets.token_bytes(32),)

    def tenant(self, tenant: str) -> str:
        """The hash of a tenant."""
        return self.tenants(tenant)[0]

    def tenants(self, tenant: str) -> tuple[str, ...]:
        """The hash of a tenant, and its hashes under the secrets that are still accepted."""
        return tuple(_digest_of_name(key, "tenant", tenant) for key in self._keys)

    def subject(self, tenant: str, subject: str) -> str:
        """The hash of a subject of a tenant."""
        return _digest_of_name(self._keys[0], "subject", tenant, subject)

    def question(self, tenant: str, text: str) -> str:
        """The hash of a question of a tenant, alike for the same words in another case or spacing."""
        return _digest(self._keys[0], "question", tenant, " ".join(text.casefold().split()))


def _digest(key: bytes, *parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:_SHOWN_DIGITS]


_digest_of_name = lru_cache(_KEPT_NAMES)(_digest)
"""Each call of a caller asks for the same ones."""
