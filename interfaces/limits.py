"""Bounds of a request, before any of it is read: how large a body may be, and how many run at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.errors import REQUEST_ID, ApiError
from interfaces.platform import Credentials

Refuse = Callable[[str, ApiError], Response]
"""The response to a refused request of this path."""
ShareOf = Callable[[Credentials], Awaitable[str]]
"""Returns the group of callers that shares the places of a tenant with this one."""
_PROBES = ("/health", "/ready")
_SHARE = 2
"""One tenant may have this part of the requests at a time."""


class Bounds:
    """ASGI middleware that refuses what is too large or too much."""

    def __init__(
        self, app: ASGIApp, *, max_body_bytes: int, max_in_flight: int, refuse: Refuse, share_of: ShareOf
    ) -> None:
        self._app = app
        self._max_body = max_body_bytes
        self._max_in_flight = max_in_flight
        self._refuse = refuse
        self._share_of = share_of
        self._in_flight = 0
        self._of_share: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unless it exceeds a bound."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        REQUEST_ID.set(dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1"))
        problem = self._problem(scope)
        if problem is not None:
            await self._refuse(scope["path"], problem)(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._within_share(scope, receive, send)
        finally:
            self._in_flight -= 1

    async def _within_share(self, scope: Scope, receive: Receive, send: Send) -> None:
        share = await self._share_of(Credentials.of_headers(Headers(scope=scope)))
        if self._of_share[share] >= max(1, self._max_in_flight // _SHARE):
            await self._refuse(scope["path"], _overloaded())(scope, receive, send)
            return
        self._of_share[share] += 1
        try:
            await self._app(scope, self._counted(receive), send)
        finally:
            self._of_share[share] -= 1
            if not self._of_share[share]:
                del self._of_share[share]

    def _problem(self, scope: Scope) -> ApiError | None:
        if self._in_flight >= self._max_in_flight:
            return _overloaded()
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_body:
                return too_large(self._max_body)
        return None

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_body:
                raise too_large(self._max_body)
            return message

        return counting


def _overloaded() -> ApiError:
    message = "the interfaces are at their limit; retry after a short while"
    return ApiError(429, "OVERLOADED", message, retry_after=1)


def too_large(limit: int) -> ApiError:
    """The refusal of a body."""
    return ApiError(413, "REQUEST_TOO_LARGE", f"the request body is larger than {limit} bytes")
