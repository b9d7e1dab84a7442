"""Protection of every request: security headers, few uploads, WebSocket origins, redirect to the sign-in page."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from console.connections import OpenSockets, is_own
from console.presenters.new_source import MAX_FILES
from console.settings import ConsoleSettings
from console.sign_in import COOKIE, SIGN_IN, own_page, sign_in_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Text of documents is shown as text; should a page ever fail at that, nothing is loaded from elsewhere still.
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; connect-src 'self'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: the browser would then hide the origin of our own sign-in form as well.
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_POLICY_VIOLATION = 1008
_MAX_HELD_FILES = 5 * MAX_FILES
"""Limit for all visitors together: Streamlit keeps each file in memory until its session ends."""
OIDC_START, OIDC_END = "/auth/login", "/oauth2callback"
"""Paths where Streamlit's own sign-in leaves for the provider, and to which the provider sends the browser back."""
_NEXT_COOKIE, _NEXT_SECONDS = "rag_console_next", 600
_OPEN = ("/_stcore", "/static", "/media", "/component", SIGN_IN, "/sign-out", "/auth", OIDC_END)


class Protection:
    """Middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: ConsoleSettings, sockets: OpenSockets) -> None:
        self._app = app
        self._settings = settings
        self._sockets = sockets
        self._local = settings.sign_in == "local"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if self._settings.sign_in == "oidc":
                    self._keep_page(scope, headers)
            await send(message)

        if "/upload_file" in path and self._local and COOKIE not in _cookies(scope):
            await PlainTextResponse("sign in to upload files", 403)(scope, receive, with_headers)
        elif "/upload_file" in path and scope["method"] == "PUT" and _held_files() >= _MAX_HELD_FILES:
            await PlainTextResponse("too many files are being uploaded", 429)(scope, receive, with_headers)
        elif self._local and not path.startswith(_OPEN) and COOKIE not in _cookies(scope):
            asked = f"{path}?{query}" if (query := scope["query_string"].decode("latin-1")) else path
            await RedirectResponse(sign_in_address(asked), 303)(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _keep_page(self, scope: Scope, headers: MutableHeaders) -> None:
        """Lead back to the page from which a person went to the provider: Streamlit returns to the first page.

        The browser says which page that was when it leaves, in a request of our own origin; a cookie that only the way
        back sees keeps it.
        """
        if scope["path"] == OIDC_START:
            asked = urlsplit(Headers(scope=scope).get("referer", ""))
            page = own_page(f"{asked.path}?{asked.query}" if asked.query else asked.path)
            ours = is_own(self._settings, f"{asked.scheme}://{asked.netloc}", Headers(scope=scope).get("host"))
            headers.append("set-cookie", self._next(page if ours and page.strip("/") else ""))
        elif scope["path"] == OIDC_END and headers.get("location") == "/":
            page = own_page(unquote(_cookies(scope).get(_NEXT_COOKIE, "")))
            if page:
                headers["location"] = page
                headers.append("set-cookie", self._next(""))

    def _next(self, page: str) -> str:
        """The cookie that keeps a page; empty: that ends it."""
        seconds = _NEXT_SECONDS if page else 0
        secure = "; Secure" if self._settings.secure_cookie else ""
        kept = f"{_NEXT_COOKIE}={quote(page, safe='')}; Path={OIDC_END}; Max-Age={seconds}"
        return f"{kept}; HttpOnly; SameSite=Lax{secure}"

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a WebSocket that one of our pages opened for a signed-in user, until the session ends."""
        headers, token = Headers(scope=scope), _cookies(scope).get(COOKIE, "")
        if not is_own(self._settings, headers.get("origin"), headers.get("host")) or (self._local and not token):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        with self._sockets.one(token) as ended:
            served = asyncio.ensure_future(self._app(scope, receive, send))
            end = asyncio.ensure_future(ended.wait())
            try:
                await asyncio.wait({served, end}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                end.cancel()
            if not served.done():
                with suppress(RuntimeError):  # it was closed meanwhile
                    await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
                served.cancel()
            with suppress(asyncio.CancelledError):
                await served


def _held_files() -> int:
    manager = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    held = manager.file_storage if isinstance(manager, MemoryUploadedFileManager) else {}
    return sum(map(len, held.values()))


def _cookies(scope: Scope) -> dict[str, str]:
    return cookie_parser(Headers(scope=scope).get("cookie", ""))
