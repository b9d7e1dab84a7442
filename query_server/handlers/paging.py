"""Pages of lists and searches, and the signing of tokens that callers bring back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.message import Message

from rag_core.content.sources import Recency
from rag_core.errors import InvalidInput, Reason
from rag_core.governance.access import Principal
from rag_core.retrieval.index import SearchRequest

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

    def __init__(
        self,
        secrets: Sequence[bytes],
        purpose: bytes,
        *,
        clock: Callable[[], float] = time.time,
        lifetime: int = LIFETIME_SECONDS,
        most_chars: int = MAX_TOKEN_CHARS,
    ) -> None:
        self._keys = [hmac.new(secret, purpose, hashlib.sha256).digest() for secret in secrets]
        self._clock, self._lifetime, self._most_chars = clock, lifetime, most_chars

    def issue(self, content: bytes, context: bytes) -> str:
        """A token that says `content`, for the request that `context` stands for."""
        body = _HEAD.pack(_VERSION, int(self._clock()) + self._lifetime) + content
        return base64.urlsafe_b64encode(body + _mac(self._keys[0], body, context)).rstrip(b"=").decode("ascii")

    def read(self, token: str, context: bytes) -> bytes | None:
        """The content of a token; `None` when it is not ours, was changed, has expired or is of another context."""
        try:
            raw = base64.b64decode(token[: self._most_chars] + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
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
class PagePosition:
    """Position at which a page begins, and the generation that the pages before it came from."""

    offset: int
    generation: str


class PageTokens:
    """Issues page tokens with the first secret, accepts tokens of any secret."""

    def __init__(self, *secrets: bytes, clock: Callable[[], float] = time.time) -> None:
        self._tokens = SignedTokens(secrets, b"page-token", clock=clock)

    def issue(self, position: PagePosition, context: bytes) -> str:
        """A token for the page at `position` of the request that `context` stands for (see `context_of`)."""
        return self._tokens.issue(_OFFSET.pack(position.offset) + position.generation.encode(), context)

    def read(self, token: str, context: bytes) -> PagePosition:
        """Raises `InvalidInput` (`PAGE_TOKEN_INVALID`); the text is the same whatever is wrong with it."""
        content = self._tokens.read(token, context)
        if content is None or len(content) < _OFFSET.size:
            raise invalid_token()
        (offset,) = _OFFSET.unpack_from(content)
        if not 0 < offset < MAX_RESULTS:
            raise invalid_token()
        return PagePosition(offset, content[_OFFSET.size :].decode())


def context_of(request: SearchRequest, *, diversity: float, freshness: Recency | None, rerank: bool) -> bytes:
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
    if freshness is not None:
        dependencies = (*dependencies, freshness)
    return repr(dependencies).encode("utf-8", "surrogatepass")


def invalid_token() -> InvalidInput:
    """The one error for whatever is wrong with a token, or with what it stands for."""
    return InvalidInput(Reason.PAGE_TOKEN_INVALID, "page_token: not valid for this request; ask again without one")


# --------------------------------------------------------------------------------------------------------------------
# Pages of lists: a position in the list's order, so that rows which come or go meanwhile shift nothing.


T = TypeVar("T")
LIST_LIFETIME_SECONDS = 86_400
"""People page through lists, with breaks."""
_LIST_TOKEN_CHARS = 16_384
"""Positions hold locators, of up to 1024 characters."""
_PAGE_FIELDS = frozenset({"page_size", "page_token", "count"})


@dataclass(frozen=True, slots=True)
class ListPage:
    """The page of a list that a caller asked for. `after` is the position of the row before it, if there is one."""

    size: int
    after: tuple[Any, ...] | None
    token: Callable[[tuple[Any, ...]], str]
    """The token of the page behind a position."""

    @property
    def rows(self) -> int:
        """Number of rows to read: one more than are shown says whether there is another page."""
        return self.size + 1

    @property
    def place(self) -> Any:
        """The position in a list that one column orders."""
        return self.after[0] if self.after else None

    def cut(self, found: Sequence[T], position: Callable[[T], tuple[Any, ...]]) -> tuple[Sequence[T], str]:
        """The rows to show, and the token of the next page; empty: there is none."""
        shown = found[: self.size]
        return shown, self.token(position(shown[-1])) if len(found) > self.size else ""

    def within(self, rows: Sequence[T], position: Callable[[T], tuple[Any, ...]]) -> tuple[Sequence[T], str]:
        """The same of a whole list that is short by its nature, in the order of its positions."""
        behind = [row for row in rows if self.after is None or position(row) > self.after]
        return self.cut(behind[: self.rows], position)


class ListPages:
    """Reads what lists are asked for, and makes their tokens.

    A token belongs to the tenant, the method and the filters of the request. Who may see what is decided by each call.
    """

    def __init__(self, *secrets: bytes, clock: Callable[[], float] = time.time) -> None:
        self._tokens = SignedTokens(
            secrets, b"list-page", clock=clock, lifetime=LIST_LIFETIME_SECONDS, most_chars=_LIST_TOKEN_CHARS
        )

    def of(
        self,
        principal: Principal,
        request: Any,
        *,
        default: int = 100,
        most: int = 1000,
    ) -> ListPage:
        """The page that a request asks for. Raises `InvalidInput` (`FIELD_INVALID`, `PAGE_TOKEN_INVALID`)."""
        size = _size(request, default, most)
        context = _list_context(principal, request)
        after = None
        if request.page_token:
            content = self._tokens.read(request.page_token, context)
            if content is None:
                raise invalid_token()
            after = tuple(json.loads(content, object_hook=_from_json))
        return ListPage(size, after, lambda at: self._tokens.issue(json.dumps(at, default=_to_json).encode(), context))


def _size(request: Any, default: int, most: int) -> int:
    for name, descriptor in request.DESCRIPTOR.fields_by_name.items():
        if descriptor.GetOptions().deprecated and request.HasField(name):
            raise InvalidInput(Reason.FIELD_INVALID, f"{name}: is not read; set page_size")
    if not request.HasField("page_size"):
        return default
    if not 1 <= request.page_size <= most:
        raise InvalidInput(Reason.FIELD_INVALID, f"page_size: must be 1 to {most}")
    return int(request.page_size)


def _list_context(principal: Principal, request: Message) -> bytes:
    filters = type(request)()
    filters.CopyFrom(request)
    for name in _PAGE_FIELDS:
        if name in filters.DESCRIPTOR.fields_by_name:
            filters.ClearField(name)
    head = f"{principal.tenant}\0{filters.DESCRIPTOR.full_name}\0".encode("utf-8", "surrogatepass")
    return head + filters.SerializeToString(deterministic=True)


def _to_json(value: object) -> object:
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    raise TypeError(type(value).__name__)


def _from_json(value: dict[str, Any]) -> object:
    return datetime.fromisoformat(value["at"])
