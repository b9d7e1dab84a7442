"""The sign-in page of local accounts. The password goes to the token broker; the browser keeps the token it gives in a
cookie that scripts cannot read.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.clients.errors import SIGNED_OUT, ServiceError
from console.clients.grpc_api import Api, Channels
from console.connections import OpenSockets, is_own
from console.i18n import N_, translate
from console.plain_page import language_for, plain_page
from console.settings import ConsoleSettings

COOKIE = "rag_console"
SIGN_IN = "/sign-in"
NEXT = "next"
_PAGE = re.compile(r"/(?:[a-z_]+)?/?(?:\?[\x21\x23-\x5b\x5d-\x7e]*)?")
"""One word as a path, and a query of printable ASCII. A second slash at the start would be another host."""
MAX_FORM_BYTES = 4096
MAX_FIELDS = 8
MAX_NEXT_CHARS = 2048
"""A longer address of the page to return to is left out: the form has a limit of bytes."""


def sign_in_routes(settings: ConsoleSettings, sockets: OpenSockets) -> list[Route]:
    """The routes; none unless people sign in with local accounts."""
    if settings.sign_in != "local":
        return []
    entrance = _SignIn(settings, sockets)
    return [
        Route(SIGN_IN, entrance.form, methods=["GET"]),
        Route(SIGN_IN, entrance.submit, methods=["POST"]),
        Route("/sign-out", entrance.leave, methods=["GET"]),
    ]


class _SignIn:
    def __init__(self, settings: ConsoleSettings, sockets: OpenSockets) -> None:
        self._settings = settings
        self._sockets = sockets

    async def form(self, request: Request) -> Response:
        return self._page(request, "", following=own_page(request.query_params.get(NEXT, "")))

    async def submit(self, request: Request) -> Response:
        """Sign in. `SameSite=Strict` and the origin keep other sites from doing it for the visitor."""
        origin, host = request.headers.get("origin"), request.headers.get("host")
        following = own_page(request.query_params.get(NEXT, ""))
        if origin is not None and not is_own(self._settings, origin, host):
            return self._page(request, "FORBIDDEN", 403, following=following)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM_BYTES:
                return self._page(request, "SIGN_IN_FAILED", 413, following=following)
        try:
            fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return self._page(request, "SIGN_IN_FAILED", 400, following=following)
        name, password, code = (fields.get(key, [""])[0] for key in ("name", "password", "code"))
        asked = {"name": name.strip(), "password": password, "code": code, "address": self._address(request)}
        reply = await asyncio.to_thread(_ask_broker, self._settings.sign_in_socket, asked)
        if "token" not in reply:
            reason = str(reply.get("reason", ""))
            if reason not in _PROBLEMS:  # of the service or its database: nothing that was typed is wrong
                return self._page(request, "SIGN_IN_UNAVAILABLE", 503, following=following)
            return self._page(request, reason, 401, following=following)
        response = RedirectResponse(following or "/", 303)
        response.set_cookie(
            COOKIE,
            str(reply["token"]),
            max_age=int(str(reply["expires_in"])),
            httponly=True,
            samesite="strict",
            secure=self._settings.secure_cookie,
        )
        return response

    async def leave(self, request: Request) -> Response:
        """End the session: at the API, which then refuses its token from everybody, and in every open page."""
        token = request.cookies.get(COOKIE, "")
        ended = not token or await asyncio.to_thread(_end_session, self._settings, token)
        self._sockets.end(token)
        response: Response = RedirectResponse(SIGN_IN, 303)
        if not ended:
            response = self._page(request, "SIGN_OUT_UNAVAILABLE", 503)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _page(self, request: Request, problem: str, status: int = 200, *, following: str = "") -> Response:
        """The form, below what went wrong."""
        language = language_for(request)

        def word(text: str) -> str:
            return html.escape(translate(language, text))

        said = f"<p role=alert>{word(_PROBLEMS[problem])}</p>" if problem else ""
        about = word(
            "Answers from your company's documents, with their sources, and the pipeline that keeps them current."
        )
        whence = word("An administrator makes your account and gives you its password (rag account add NAME)."
                      " The password of the first account, admin, was printed by rag up.")  # fmt: skip
        body = f"""<p>{about}</p>{said}<form method="post" action="{html.escape(sign_in_address(following))}">
<label for="name">{word("Name")}</label><input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">{word("Password")}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<details><summary>{word("My account asks for a code")}</summary>
<label for="code">{word("Code of your authenticator app")}</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="7"></details>
<button>{word("Sign in")}</button></form><p class="quiet">{whence}</p>"""
        return plain_page(
            request, translate(language, "Sign in"), body, status,
            environment=self._settings.environment, following=following,
        )  # fmt: skip

    def _address(self, request: Request) -> str:
        """The visitor's address: of the connection, or what the outermost trusted proxy says of it."""
        hops = self._settings.trusted_hops
        said = [text.strip() for text in request.headers.get("x-forwarded-for", "").split(",")]
        if hops and len(said) >= hops:
            return said[-hops]
        return request.client.host if request.client else ""


def _end_session(settings: ConsoleSettings, token: str) -> bool:
    """End a session. Returns whether its token opens nothing any more."""
    with closing(Channels(settings)) as channels:
        try:
            Api(channels, token).sign_out()
        except ServiceError as error:
            return error.code in SIGNED_OUT
    return True


def _ask_broker(path: Path | None, asked: dict[str, str]) -> dict[str, object]:
    if path is None:
        return {}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as reader:
                reply = json.loads(reader.readline(65_536))
    except (OSError, ValueError):
        return {}
    return reply if isinstance(reply, dict) else {}


_PROBLEMS = N_(
    {
        "FORBIDDEN": "Sign in from the console's own page.",
        "SIGN_IN_FAILED": "Name, password or code is wrong.",
        "SIGN_OUT_UNAVAILABLE": "Signed out in this browser only: the query server does not respond.",
        "SIGN_IN_LOCKED": "Too many failed attempts. Wait half a minute.",
        "SECRET_MISSING": "Your code cannot be checked here. An administrator sets your second factor again.",
        "SIGN_IN_UNAVAILABLE": "Sign-in does not work at the moment. Try again in a minute.",
    }
)


def sign_in_address(page: str) -> str:
    """The address of the sign-in page from which a person returns to the page (path and query) that was asked for."""
    following = own_page(page)
    return f"{SIGN_IN}?{urlencode({NEXT: following})}" if following.strip("/") else SIGN_IN


def own_page(address: str) -> str:
    """The address when it is a page of this console, else empty: nobody is led elsewhere by a link to the sign-in."""
    parts = urlsplit(address) if _PAGE.fullmatch(address) and len(address) <= MAX_NEXT_CHARS else None
    return address if parts is not None and not parts.scheme and not parts.netloc else ""
