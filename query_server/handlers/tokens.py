"""Tokens that clients keep for us: signed, bound to the caller and the request, and short-lived."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import time
from collections.abc import Callable, Sequence

LIFETIME_SECONDS = 900
MAX_TOKEN_CHARS = 512
_HEAD = struct.Struct(">BQ")
_VERSION = 1
_MAC_BYTES = 32


class SignedTokens:
    """Issues tokens of one purpose by the first of the secrets, and reads those of any of them.

    One that was made for another purpose does not verify.
    """

    def __init__(self, secrets: Sequence[bytes], purpose: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = [hmac.new(secret, purpose, hashlib.sha256).digest() for secret in secrets]
        self._clock = clock

    def issue(self, content: bytes, context: bytes) -> str:
        """A token that says `content`, for the request that `context` stands for."""
        body = _HEAD.pack(_VERSION, int(self._clock()) + LIFETIME_SECONDS) + content
        return base64.urlsafe_b64encode(body + _mac(self._keys[0], body, context)).rstrip(b"=").decode("ascii")

    def read(self, token: str, context: bytes) -> bytes | None:
        """What a token says; `None` when it is not ours, was changed, has expired or is of another context."""
        try:
            raw = base64.b64decode(token[:MAX_TOKEN_CHARS] + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        known = [hmac.compare_digest(mac, _mac(key, body, context)) for key in self._keys]
        if len(body) < _HEAD.size or not any(known):
            return None
        version, expires = _HEAD.unpack_from(body)
        return body[_HEAD.size :] if version == _VERSION and expires >= self._clock() else None


def _mac(key: bytes, body: bytes, context: bytes) -> bytes:
    return hmac.new(key, body + hashlib.sha256(context).digest(), hashlib.sha256).digest()
