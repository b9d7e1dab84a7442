"""The open interfaces at the gateway: OpenAI's API below `/v1`, MCP at `/mcp`, SCIM below `/scim/v2`, the API
description, the documentation.

Their service speaks HTTP and calls the query servers itself, with the caller's own credentials. So these requests pass
the same verification and limits as others, are not transcoded, and get the refusals of the gateway in their own words.
"""

from __future__ import annotations

import re
from pathlib import Path

from interfaces.refusals import SCIM_ERROR, openai_type, rpc_code
from rag_core.errors import Reason
from ragctl.gateway.options import Config, GatewayOptions, extension, seconds

CALLER = "x-auth-caller"
"""The subject of the verified token once more: the headers for limits are removed before a server is chosen."""
INTERFACES = "interfaces"
"""The name of the cluster."""
REQUEST_ID = "%REQ(X-REQUEST-ID)%"
"""Envoy's expression for the id of a request, in errors."""
PAGES = "pages"
"""The same servers for pages that anybody may read, in a cluster with counters of its own."""
_PAGES_IN_FLIGHT = 64
_PAGE_SECONDS = 10.0
OPENAI = "/v1/"
MCP = "/mcp"
SCIM = "/scim/v2/"
_METADATA = "/.well-known/oauth-protected-resource"
PUBLIC_PATHS: dict[str, Config] = {
    "description": {"path": "/openapi.json"},
    "reference": {"path": "/docs"},
    "documentation": {"prefix": "/docs/"},
    "index of the documentation": {"path": "/llms.txt"},
    "protected resource metadata": {"prefix": _METADATA},
}
"""Served without a token: they describe the API, say where tokens are, and hold no data. An agent that is to write an
integration has no token yet."""
_LUA = "extensions.filters.http.lua.v3.Lua"


def interface_routes(options: GatewayOptions) -> list[Config]:
    """The routes; none where no such service runs."""
    if not options.interfaces.query:
        return []
    interfaces: dict[str, Config] = {"openai": {"prefix": OPENAI}, "mcp": {"path": MCP}, "scim": {"prefix": SCIM}}
    return [
        *(_route(name, match, _called(options)) for name, match in interfaces.items()),
        *(_route(name, match, _page()) for name, match in PUBLIC_PATHS.items()),
    ]


def open_paths(options: GatewayOptions) -> list[Config]:
    """Matches of the requests that need no token."""
    if not options.interfaces.query:
        return []
    return list(PUBLIC_PATHS.values())


def public_pattern() -> str:
    """An expression for the paths of requests that need no token."""
    exact = "|".join(re.escape(str(match["path"])) for match in PUBLIC_PATHS.values() if "path" in match)
    below = "|".join(re.escape(str(match["prefix"])) for match in PUBLIC_PATHS.values() if "prefix" in match)
    return rf"({exact})(\?.*)?|({below}).*"


def bearer_keys() -> list[Config]:
    """The filter that takes an API key from `authorization: Bearer rag_…`, where many clients put any secret."""
    text = Path(__file__).with_name("bearer_keys.lua").read_text("utf-8")
    return [extension("rag.bearer_keys", _LUA, default_source_code={"inline_string": text})]


def interface_cluster(discovered: Config) -> Config:
    """The cluster. One caller's requests go to one server, because uploaded files wait there to be attached."""
    alive = {"timeout": "1s", "interval": "1s", "no_traffic_interval": "1s", "unhealthy_threshold": 2}
    return {
        **discovered,
        "lb_policy": "RING_HASH",
        "health_checks": [{**alive, "healthy_threshold": 1, "http_health_check": {"path": "/health"}}],
        "ignore_health_on_host_removal": True,
    }


def page_cluster(discovered: Config) -> Config:
    """The cluster of the pages: a flood of their readers takes no place of the other interfaces."""
    most = ("max_connections", "max_pending_requests", "max_requests")
    return {**discovered, "circuit_breakers": {"thresholds": [dict.fromkeys(most, _PAGES_IN_FLIGHT)]}}


def refusals(http_status: int, code: Reason) -> list[tuple[list[Config], Config, dict[str, str]]]:
    """Return the wording of a refusal by these interfaces: conditions, the JSON body, and headers."""
    kind = openai_type(http_status)
    openai: Config = {
        "error": {
            "message": "%LOCAL_REPLY_BODY%",
            "type": kind,
            "code": code.value,
            "request_id": REQUEST_ID,
        }
    }
    data = {"reason": code.value, "request_id": REQUEST_ID}
    failure = {"code": rpc_code(http_status, request=True), "message": "%LOCAL_REPLY_BODY%", "data": data}
    scim: Config = {"schemas": [SCIM_ERROR], "status": str(http_status), "detail": f"{code.value}: %LOCAL_REPLY_BODY%"}
    return [
        (_path(prefix=OPENAI), openai, {}),
        (_path(prefix=SCIM), scim, {}),
        (_path(safe_regex={"regex": r"/mcp(\?.*)?"}), {"jsonrpc": "2.0", "error": failure}, _challenge(http_status)),
    ]


def _challenge(http_status: int) -> dict[str, str]:
    """Return the page on which an MCP client learns how to get a token (RFC 9728)."""
    if http_status != 401:
        return {}
    place = f"%REQ(X-FORWARDED-PROTO?:SCHEME)%://%REQ(:AUTHORITY)%{_METADATA}{MCP}"
    return {"www-authenticate": f'Bearer resource_metadata="{place}"'}


def _path(**match: object) -> list[Config]:
    return [{"header_filter": {"header": {"name": ":path", "string_match": match}}}]


def _called(options: GatewayOptions) -> Config:
    """Return the destination of a request to the interfaces, and its limits."""
    limit = seconds(options.max_seconds)
    return {
        "cluster": INTERFACES,
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": limit},
        "idle_timeout": limit,
        # By who the caller is: a renewed token goes to the same server.
        "hash_policy": [{"header": {"header_name": header}} for header in (CALLER, "x-api-key")],
    }


def _page() -> Config:
    """Return the destination of a request for a page, and its limits."""
    limit = seconds(_PAGE_SECONDS)
    return {
        "cluster": PAGES,
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": limit},
        "idle_timeout": limit,
    }


def _route(name: str, match: Config, route: Config) -> Config:
    retries = {"retry_on": "connect-failure,refused-stream", "num_retries": 2}
    return {
        "name": name,
        "match": match,
        "route": {**route, "retry_policy": retries},
        "decorator": {"operation": name, "propagate": False},
    }
