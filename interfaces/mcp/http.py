"""MCP by streamable HTTP at `/mcp`, and the metadata that says where its tokens come from (RFC 9728).

Every request stands alone: no session is kept, so that any server answers any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from interfaces.errors import ApiError
from interfaces.mcp.server import build_server, failure
from interfaces.platform import Caller, Credentials, Platform
from interfaces.public_url import public_url
from interfaces.settings import InterfacesSettings

PATH = "/mcp"
METADATA = "/.well-known/oauth-protected-resource"
_SCOPES = ["query.read", "documents.read"]


class McpEndpoint:
    """The ASGI application of `/mcp`; `run` is its lifespan."""

    def __init__(self, platform: Platform) -> None:
        def caller_of(context: Any) -> Caller:
            return platform.of(Credentials.of_headers(context.request.headers))

        self._platform, self._settings = platform, platform.settings
        self._manager = StreamableHTTPSessionManager(
            build_server(caller_of),
            json_response=True,
            stateless=True,
            # Our own check: the gateway brings any host name, and every call a token.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=platform.settings.max_body_bytes,
        )
        self.run = self._manager.run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a message. One without credentials, with a key that no query server knows or of a closed tenant is
        refused as an HTTP request, so that the gateway can count it: within the protocol an error is a success of HTTP,
        and some of its methods ask no query server."""
        request = Request(scope)
        error = self._foreign_page(request) or await self._problem(Credentials.of_headers(request.headers))
        if error is not None:
            more = challenge(request, self._settings) if error.status == 401 else None
            await refusal(error, more)(scope, receive, send)
            return
        await self._manager.handle_request(scope, receive, send)

    def _foreign_page(self, request: Request) -> ApiError | None:
        """The protocol requires it of servers: a browser names the page that sends a request, other clients do not."""
        origin = request.headers.get("origin")
        if origin is None or origin in self._settings.allowed_origins:
            return None
        return ApiError(403, "ORIGIN_REFUSED", "pages of this origin may not call MCP: see RAG_GATEWAY_CORS_ORIGINS")

    async def _problem(self, credentials: Credentials) -> ApiError | None:
        if not credentials.secret:
            return ApiError(401, "TOKEN_MISSING", "send `authorization: Bearer <token>` or `x-api-key`")
        try:
            await self._platform.of(credentials).answerers()
        except ApiError as error:
            # Without the scope for searches a caller may read documents.
            return None if error.reason == "SCOPE_MISSING" else error
        return None


def routes(endpoint: McpEndpoint, settings: InterfacesSettings) -> list[Route]:
    """`/mcp` and its metadata."""
    metadata = _metadata(settings)
    # Without sessions there is nothing to stream to a client that only listens.
    return [Route(PATH, endpoint, methods=["POST"]), Route(METADATA, metadata), Route(f"{METADATA}{PATH}", metadata)]


def refusal(error: ApiError, headers: dict[str, str] | None = None) -> Response:
    """An error outside any request of the protocol, as JSON-RPC."""
    body = types.JSONRPCError(jsonrpc="2.0", id=None, error=failure(error).error)
    content = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    return JSONResponse(content, status_code=error.status, headers={**error.headers, **(headers or {})})


def challenge(request: Request, settings: InterfacesSettings) -> dict[str, str]:
    """Return the header that says where a client gets a token."""
    return {"www-authenticate": f'Bearer resource_metadata="{public_url(request, settings)}{METADATA}{PATH}"'}


def _metadata(settings: InterfacesSettings) -> Callable[[Request], Response]:
    def metadata(request: Request) -> Response:
        found: dict[str, Any] = {
            "resource": f"{public_url(request, settings)}{PATH}",
            "resource_name": "RAG platform",
            "scopes_supported": _SCOPES,
            "bearer_methods_supported": ["header"],
        }
        if settings.issuers:
            found["authorization_servers"] = list(settings.issuers)
        return JSONResponse(found, headers={"cache-control": "max-age=300", "vary": "host, x-forwarded-proto"})

    return metadata
