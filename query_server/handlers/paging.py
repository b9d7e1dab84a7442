"""Page tokens, and the signing of tokens that callers bring back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_core.errors import InvalidInput, Reason
from rag_core.index import SearchRequest

# --------------------------------------------------------------------------------------------------------------------
# State that clients keep for the server: signed, bound to the caller and the request, and short-lived.


LIFETIME_SECONDS = 900
MAX_TOKEN_CHARS = 512
_HEAD = struct.Struct(">BQ")
_VERSION = 1
_MAC_BYTES = 32


class SignedTokens:
    """Issues tokens of one purpose with the first secret, and accepts tokens of any of the secrets.

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
        """The content of a token; `None` when it is not ours, was changed, has expired or is of another context."""
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


# --------------------------------------------------------------------------------------------------------------------
# Page tokens: where the next page of a search begins. Nothing is kept on the server.


MAX_RESULTS = 500
"""Passages that can be paged through; deeper ranks cost more than they are worth."""
_OFFSET = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins, and the generation that the pages before it came from."""

    offset: int
    generation: str


class PageTokens:
    """Issues page tokens with the first secret, accepts tokens of any secret."""

    def __init__(self, *secrets: bytes, clock: Callable[[], float] = time.time) -> None:
        self._tokens = SignedTokens(secrets, b"page-token", clock=clock)

    def issue(self, position: Position, context: bytes) -> str:
        """A token for the page at `position` of the request that `context` stands for (see `context_of`)."""
        return self._tokens.issue(_OFFSET.pack(position.offset) + position.generation.encode(), context)

    def read(self, token: str, context: bytes) -> Position:
        """Raises `InvalidInput` (`PAGE_TOKEN_INVALID`); the text is the same whatever is wrong with it."""
        content = self._tokens.read(token, context)
        if content is None or len(content) < _OFFSET.size:
            raise invalid_token()
        (offset,) = _OFFSET.unpack_from(content)
        if not 0 < offset < MAX_RESULTS:
            raise invalid_token()
        return Position(offset, content[_OFFSET.size :].decode())


def context_of(request: SearchRequest, *, diversity: float, rerank: bool) -> bytes:
    """The context of a token: tenant, permissions and everything that decides the order; not the page's size."""
    dependencies: tuple[object, ...] = (
        request.tenant,
        tuple(sorted(request.acl)),
        request.mode.value,
        request.text,
        request.filter,
        request.per_document,
        diversity,
        rerank,
    )
    if request.weights is not None or request.generation is not None:
        dependencies = (*dependencies, request.weights, request.generation)
    return repr(dependencies).encode("utf-8", "surrogatepass")


def invalid_token() -> InvalidInput:
    """The one error for whatever is wrong with a token, or with what it stands for."""
    return InvalidInput(Reason.PAGE_TOKEN_INVALID, "page_token: not valid for this request; ask again without one")
