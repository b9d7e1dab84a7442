"""Keyed hashes of tenants and subjects for logs, metrics and screens.

They are keyed: names are few and easily guessed, and a plain hash would be undone by trying them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

_SHOWN_DIGITS = 12


class NameHash:
    """Hashes by the first of these secrets; without any by one of this process alone."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = tuple(keys) or (secrets.token_bytes(32),)

    def tenant(self, tenant: str) -> str:
        """What stands for a tenant."""
        return self.tenants(tenant)[0]

    def tenants(self, tenant: str) -> tuple[str, ...]:
        """The hash of a tenant, and its hashes under the secrets that are still accepted."""
        return tuple(_digest(key, "tenant", tenant) for key in self._keys)

    def subject(self, tenant: str, subject: str) -> str:
        """What stands for a subject of a tenant."""
        return _digest(self._keys[0], "subject", tenant, subject)


def _digest(key: bytes, *parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:_SHOWN_DIGITS]
