"""Page tokens: where the next page of a search begins. Nothing is kept on the server."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from query_server.handlers.tokens import SignedTokens
from rag_core.errors import InvalidInput, Reason
from rag_core.index.base import SearchRequest

MAX_RESULTS = 500
"""Passages that can be paged through; ranks beyond it cost more than they tell."""
_OFFSET = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins, and the generation that the pages before it came from."""

    offset: int
    generation: str


class PageTokens:
    """Issues tokens by the first secret, reads those of any."""

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
