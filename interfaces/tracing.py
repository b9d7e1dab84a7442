"""The span of each HTTP request, within the trace that the gateway or the caller began."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_tracing import entry

_PROBES = ("/health", "/ready")
_W3C = (b"traceparent", b"tracestate")


class Traced:
    """ASGI middleware. A request is named by its route, never by its path, which may name a document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its span."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _W3C}
        with entry(method, headers, {"http.request.method": method}) as block:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = int(message["status"])
                    block.set({"http.response.status_code": status})
                    block.end_as(str(status) if status >= 400 else "", failed=status >= 500)
                await send(message)

            try:
                await self._app(scope, receive, sending)
            finally:
                route: Any = scope.get("route")
                path = getattr(route, "path", None)
                block.set({"http.route": path})
                if path:
                    block.rename(f"{method} {path}")
