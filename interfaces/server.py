"""One ASGI application of all open interfaces with a span for each request, its logs, and its process."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces import documentation
from interfaces.errors import ApiError, internal
from interfaces.limits import Bounds
from interfaces.mcp.http import PATH as MCP
from interfaces.mcp.http import McpEndpoint
from interfaces.mcp.http import refusal as mcp_refusal
from interfaces.mcp.http import routes as mcp_routes
from interfaces.openai import shapes
from interfaces.openai.routes import routes as openai_routes
from interfaces.openapi.routes import routes as openapi_routes
from interfaces.platform import Platform
from interfaces.scim import routes as scim
from interfaces.settings import InterfacesSettings
from interfaces.tenants import CallerTenants
from rag_tracing import current_ids, entry


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() if record.name.startswith(("interfaces", "uvicorn")) else "library",
        }
        ids = current_ids()
        if ids is not None:
            line["trace_id"], line["span_id"] = ids
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = place_of(record.exc_info[1])
        return json.dumps(line)


def configure() -> None:
    """Send every log line of this process to standard output. Libraries speak up from warnings on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("interfaces", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)


def place_of(error: BaseException) -> str:
    """Type and innermost place of an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{where}"


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


_log = logging.getLogger(__name__)


def build_app(settings: InterfacesSettings) -> Starlette:
    """The application. Its lifespan opens and closes the connections to the query servers."""
    platform = Platform(settings)
    endpoint = McpEndpoint(platform)
    tenants = CallerTenants(platform)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(platform)
            await stack.enter_async_context(endpoint.run())
            yield

    async def ready(_: Request) -> Response:
        answers = await platform.ready()
        reasons = [] if answers else ["SERVER_UNAVAILABLE"]
        return JSONResponse({"ready": answers, "reasons": reasons}, status_code=200 if answers else 503)

    app = Starlette(
        routes=[
            Route("/health", _alive),
            Route("/ready", ready),
            *openai_routes(platform),
            *mcp_routes(endpoint, settings),
            *scim.routes(platform),
            *openapi_routes(settings),
            *documentation.routes(),  # after Swagger UI, which has its files below /docs too
        ],
        lifespan=lifespan,
        middleware=[
            Middleware(Traced),
            Middleware(
                Bounds,
                max_body_bytes=settings.max_body_bytes,
                max_in_flight=settings.max_in_flight,
                refuse=refusal,
                share_of=tenants.share_of,
            ),
        ],
        exception_handlers={ApiError: _refused, HTTPException: _no_route, Exception: _failed},
    )
    app.state.settings, app.state.tenants = settings, tenants
    # A redirect would name the scheme behind the gateway, and send what was meant for TLS without it.
    app.router.redirect_slashes = False
    return app


def refusal(path: str, error: ApiError) -> Response:
    """An error in the words of the interface that the path belongs to."""
    if path == MCP:
        return mcp_refusal(error)
    if path.startswith(scim.PATH):
        return scim.refusal(error)
    return JSONResponse(shapes.error(error), status_code=error.status, headers=error.headers)


def serve(settings: InterfacesSettings) -> None:
    """Serve until SIGTERM; calls in flight get `grace_seconds` then."""
    uvicorn.Server(uvicorn_config(settings)).run()


def uvicorn_config(settings: InterfacesSettings) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    return uvicorn.Config(
        build_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        h11_max_incomplete_event_size=65_536,
        ws="none",
    )


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101
    return refusal(request.url.path, error)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    message = "use another method" if error.status_code == 405 else "no such endpoint"
    found = ApiError(error.status_code, "METHOD_UNKNOWN", message)
    if error.status_code not in (404, 405):
        found = ApiError(error.status_code, "MESSAGE_INVALID", "the request cannot be read")
    return refusal(request.url.path, found)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("request failed: %s", place_of(error))
    return refusal(request.url.path, internal())
