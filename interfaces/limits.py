"""Bounds of a request, before any of it is read: how large a body may be, and how many run at a time."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.errors import ApiError

Refuse = Callable[[str, ApiError], Response]
"""The response to a refused request of this path."""
_PROBES = ("/health", "/ready")


class Bounds:
    """ASGI middleware that refuses what is too large or too much."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_in_flight: int, refuse: Refuse) -> None:
        self._app = app
        self._max_body = max_body_bytes
        self._max_in_flight = max_in_flight
        self._refuse = refuse
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unless it exceeds a bound."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is not None:
            await self._refuse(scope["path"], problem)(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._app(scope, self._counted(receive), send)
        finally:
            self._in_flight -= 1

    def _problem(self, scope: Scope) -> ApiError | None:
        if self._in_flight >= self._max_in_flight:
            message = "the interfaces are at their limit; retry after a short while"
            return ApiError(429, "OVERLOADED", message, retry_after=1)
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


def too_large(limit: int) -> ApiError:
    """The refusal of a body."""
    return ApiError(413, "REQUEST_TOO_LARGE", f"the request body is larger than {limit} bytes")
