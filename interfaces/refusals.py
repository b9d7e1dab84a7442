"""The names of refusals in the open interfaces, by HTTP status. The gateway uses them for what it refuses itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OPENAI_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_RPC_CODES: Final[Mapping[int, int]] = {401: -32001, 403: -32003, 413: -32600}
_OF_CALLS: Final[Mapping[int, int]] = {400: -32602, 404: -32002}
"""Within the protocol: invalid parameters, and a resource that does not exist."""
_OF_REQUESTS: Final[Mapping[int, int]] = {400: -32600, 404: -32601, 405: -32600}
"""JSON-RPC codes for refusals of the HTTP request around it: an invalid request, and a method that does not exist."""
_OTHER: Final = -32000
SCIM_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
"""The schema of an error of SCIM."""


def openai_type(status: int) -> str:
    """`error.type` of OpenAI's API."""
    return _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")


def rpc_code(status: int, *, request: bool = False) -> int:
    """`error.code` of JSON-RPC: of a call, or of the HTTP `request` that should have carried one."""
    return {**_RPC_CODES, **(_OF_REQUESTS if request else _OF_CALLS)}.get(status, _OTHER)
