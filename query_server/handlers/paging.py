"""Page tokens: signed, bound to the caller and the request, and short-lived. Nothing is kept on the server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from rag_core.errors import InvalidInput, Reason
from rag_core.index.base import SearchRequest

MAX_RESULTS = 500
"""Passages that can be paged through; ranks beyond it cost more than they tell."""
LIFETIME_SECONDS = 900
MAX_TOKEN_CHARS = 512
_HEAD = struct.Struct(">BQI")
_VERSION = 1
_MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins, and the generation that the pages before it came from."""

    offset: int
    generation: str


class PageTokens:
    """Issues and reads tokens with one secret."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.new(secret, b"page-token", hashlib.sha256).digest()
        self._clock = clock

    def issue(self, position: Position, context: bytes) -> str:
        """A token for the page at `position` of the request that `context` stands for (see `context_of`)."""
        expires = int(self._clock()) + LIFETIME_SECONDS
        body = _HEAD.pack(_VERSION, expires, position.offset) + position.generation.encode()
        return base64.urlsafe_b64encode(body + self._mac(body, context)).rstrip(b"=").decode("ascii")

    def read(self, token: str, context: bytes) -> Position:
        """Raises `InvalidInput` (`PAGE_TOKEN_INVALID`); the text is the same whatever is wrong with it."""
        try:
            raw = base64.b64decode(token[:MAX_TOKEN_CHARS] + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise invalid_token() from None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(mac, self._mac(body, context)):
            raise invalid_token()
        version, expires, offset = _HEAD.unpack_from(body)
        if version != _VERSION or expires < self._clock() or not 0 < offset < MAX_RESULTS:
            raise invalid_token()
        return Position(offset, body[_HEAD.size :].decode())

    def _mac(self, body: bytes, context: bytes) -> bytes:
        return hmac.new(self._key, body + hashlib.sha256(context).digest(), hashlib.sha256).digest()


def context_of(request: SearchRequest, *, diversity: float, rerank: bool) -> bytes:
    """What a token is bound to: tenant, permissions and everything that decides the order; not the page's size."""
    parts = (
        request.tenant,
        tuple(sorted(request.acl)),
        request.mode.value,
        request.text,
        request.filter,
        request.per_document,
        diversity,
        rerank,
    )
    return repr(parts).encode("utf-8", "surrogatepass")


def invalid_token() -> InvalidInput:
    """The one error for whatever is wrong with a token, or with what it stands for."""
    return InvalidInput(Reason.PAGE_TOKEN_INVALID, "page_token: not valid for this request; ask again without one")
