"""`python -m rag_assets.webserver WORKSPACE`: Dagster's webserver behind checks that it does not make itself.

By itself it runs mutations by GET, takes JSON that is declared as text, and answers pages of every origin by every host
name: a link or a picture on any page that an operator opens could start and stop runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import dagster as dg
import uvicorn
from dagster._core.workspace import context, load_target  # Dagster's CLI alone is public, and it makes no checks
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from rag_core.browser_guard import BrowserGuard, is_link
from rag_core.errors import InvalidInput, PermissionDenied, RagError, Reason
from rag_core.logging import configure_logging
from rag_core.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GRAPHQL = "/graphql"
_HEADERS = {
    # A page of another site could lay our buttons below its own.
    "content-security-policy": "frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_STATUS = {Reason.METHOD_UNKNOWN: 405, Reason.CONTENT_TYPE: 415}
_GRACE_SECONDS = 5


class Front:
    """Refuses what a page of another site can make a browser send, and what changes state but is no POST of JSON."""

    def __init__(self, app: ASGIApp, guard: BrowserGuard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.append(name, value)  # beside Dagster's own policy
            await send(message)

        try:
            self._check(scope)
        except RagError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await _refusal(error)(scope, receive, protected)
            return
        await self._app(scope, receive, protected)

    def _check(self, scope: Scope) -> None:
        """Raises `PermissionDenied` (`HOST_REFUSED`, `ORIGIN_REFUSED`) or `InvalidInput` (`METHOD_UNKNOWN`,
        `CONTENT_TYPE`)."""
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) > 1:
            raise PermissionDenied(Reason.HOST_REFUSED, "the request has several hosts: send one")
        if scope["type"] == "http" and is_link(scope["method"], headers):
            self._guard.check_host(headers.get("host"))
        else:
            self._guard.check_page(headers)
        if scope["type"] == "http":
            _check_method(scope["method"], scope["path"], headers)


def _check_method(method: str, path: str, headers: Headers) -> None:
    if method == "POST":
        # Any other type may be sent by a page of another site without asking first.
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise InvalidInput(Reason.CONTENT_TYPE, "content-type: send application/json")
    elif method not in {"GET", "HEAD"}:
        raise InvalidInput(Reason.METHOD_UNKNOWN, "use GET or POST")
    elif path.rstrip("/") == _GRAPHQL and "text/html" not in headers.get("accept", ""):  # which opens GraphiQL
        raise InvalidInput(Reason.METHOD_UNKNOWN, "send the query by POST as application/json")


def _refusal(error: RagError) -> JSONResponse:
    status = _STATUS.get(error.reason, 403)
    body = {"errors": [{"message": error.message, "extensions": {"reason": error.reason}}]}
    return JSONResponse(body, status, {"allow": "GET, POST"} if status == 405 else None)


def serve(settings: Settings, workspace: str) -> None:
    """Serve the workspace of the Dagster instance of the environment until SIGTERM."""
    with (
        dg.DagsterInstance.get() as instance,
        context.WorkspaceProcessContext(
            instance, load_target.WorkspaceFileTarget([workspace]), dg.__version__
        ) as served,
    ):
        instance.optimize_for_webserver(
            statement_timeout=15_000, pool_recycle=3600, max_overflow=20
        )  # of Dagster's CLI
        guard = BrowserGuard.of(settings, origins=settings.dagster_origins)
        uvicorn.run(
            Front(create_app_from_workspace_process_context(served), guard),
            host=settings.host,
            port=settings.dagster_port,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )


def main() -> None:
    """Serve the workspace that is named."""
    settings = Settings.load()
    configure_logging(level=settings.log_level, json=settings.log_json)
    serve(settings, sys.argv[1])


if __name__ == "__main__":
    main()
