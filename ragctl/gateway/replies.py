"""Local replies of Envoy: gRPC statuses for gRPC, the JSON of `google.rpc.Status` for REST."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from google.rpc import error_details_pb2

from query_server.runtime.status import DETAILS_KEY, DOMAIN, PUSHBACK_KEY, PUSHBACK_MS, rich_status
from rag_core.errors import Reason
from ragctl.gateway.access import FAILURE
from ragctl.gateway.files import JWT_FILTER
from ragctl.gateway.interfaces import REQUEST_ID, refusals
from ragctl.gateway.options import Config, extension
from ragctl.gateway.requests import CHECK


@dataclass(frozen=True, slots=True)
class LocalError:
    """An HTTP status of Envoy's own. `message=None` keeps Envoy's text. It applies to every such reply, or only to a
    missing header (`missing`), a response flag (`flag`), a detail of the response (`detail`) or a filter's metadata
    (`metadata`: filter, path, value). Callers get the status `becomes` and are asked to wait `pushback_ms`."""

    http_status: int
    grpc_status: int
    reason: Reason
    message: str | None = None
    missing: str | None = None
    flag: str | None = None
    detail: str | None = None
    metadata: tuple[str, ...] | None = None
    becomes: int | None = None
    pushback_ms: int | None = None
    names_field: bool = False
    """True when the metadata of the check have the field of the request that is refused."""


_TYPE = "type.googleapis.com/google.rpc."
_UNCOUNTED = "RLSE"
"""Envoy's flag of a request that the rate-limit service did not answer about."""
_CIRCUIT_OPEN = "UO"
"""Envoy's flag of a request that a circuit breaker did not let through."""
_MEMORY_FULL = "overload"
"""Envoy's detail of a request that it did not accept because its memory is nearly full: it has no flag for that."""
_AT_LIMIT = LocalError(
    503,
    8,
    Reason.OVERLOADED,
    "the service is at its limit; retry after a short while",
    flag=_CIRCUIT_OPEN,
    becomes=429,
    pushback_ms=PUSHBACK_MS,
)
LOCAL_ERRORS = (
    LocalError(
        400,
        3,
        Reason.MESSAGE_INVALID,
        "the request is not one complete message",
        metadata=(CHECK, "reason", Reason.MESSAGE_INVALID.value),
    ),
    LocalError(400, 3, Reason.FIELD_UNKNOWN, metadata=(CHECK, "reason", Reason.FIELD_UNKNOWN.value), names_field=True),
    LocalError(
        400, 3, Reason.RESERVED_FIELD, metadata=(CHECK, "reason", Reason.RESERVED_FIELD.value), names_field=True
    ),
    LocalError(400, 3, Reason.FIELD_INVALID),
    LocalError(401, 16, Reason.TOKEN_MISSING, "send `authorization: Bearer <token>` or `x-api-key`", "authorization"),
    LocalError(
        401,
        16,
        Reason.TOKEN_EXPIRED,
        "the token has expired; get a new one",
        metadata=(JWT_FILTER, FAILURE, "message", "Jwt is expired"),
    ),
    LocalError(401, 16, Reason.TOKEN_INVALID, "the token does not verify; get a new one"),
    LocalError(
        403,
        16,
        Reason.TOKEN_AUDIENCE,
        "the token is meant for another audience; get one for this service",
        metadata=(JWT_FILTER, FAILURE, "message", "Audiences in Jwt are not allowed"),
        becomes=401,
    ),
    LocalError(403, 7, Reason.SCOPE_MISSING, "the token is not meant for this method: its scope is missing"),
    LocalError(404, 12, Reason.METHOD_UNKNOWN),
    LocalError(405, 12, Reason.METHOD_UNKNOWN),
    LocalError(408, 4, Reason.DEADLINE, "the request did not arrive in time"),
    LocalError(413, 8, Reason.REQUEST_TOO_LARGE, "the request body is larger than the gateway accepts"),
    LocalError(426, 3, Reason.FIELD_INVALID, "the gateway speaks HTTP/1.1 and HTTP/2"),
    LocalError(429, 8, Reason.RATE_LIMITED, "too many calls from this client; wait for the time in Retry-After"),
    LocalError(431, 8, Reason.REQUEST_TOO_LARGE, "the request headers are larger than the gateway accepts"),
    LocalError(501, 3, Reason.FIELD_INVALID, "the body has an encoding that the gateway does not have", becomes=400),
    _AT_LIMIT,
    replace(_AT_LIMIT, flag=None, detail=_MEMORY_FULL),
    LocalError(
        503,
        14,
        Reason.SERVER_UNAVAILABLE,
        "the limits of calls cannot be checked now; try again",
        flag=_UNCOUNTED,
    ),
    LocalError(503, 14, Reason.SERVER_UNAVAILABLE, "the query server cannot be reached; try again"),
    LocalError(504, 4, Reason.DEADLINE, "the time allowed for the call ran out"),
)
_ANY_OTHER = LocalError(500, 13, Reason.INTERNAL)


def local_replies() -> Config:
    """The mapping of the connection manager."""
    mappers = [
        mapper
        for error in LOCAL_ERRORS
        for mapper in (_grpc_reply(error), *_interface_replies(error), _rest_reply(error))
    ]
    return {"mappers": mappers, "body_format": {"json_format": _error_body(_ANY_OTHER)}}


def _grpc_reply(error: LocalError) -> Config:
    """A gRPC client gets plain text; the status Envoy derives from the HTTP code is not always the right one."""
    return {
        "filter": {"and_filter": {"filters": [*_conditions(error), *_NATIVE_GRPC]}},
        **_said(error),
        "headers_to_add": _added(("grpc-status", str(error.grpc_status)), *_details(error)),
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }


def _interface_replies(error: LocalError) -> Iterator[Config]:
    for conditions, body, headers in refusals(error.becomes or error.http_status, error.reason):
        added = [*headers.items(), *_wait(error)]
        yield {
            "filter": {"and_filter": {"filters": [*_conditions(error), *conditions]}},
            **_said(error),
            **({"headers_to_add": _added(*added)} if added else {}),
            "body_format_override": {"json_format": body},
        }


def _rest_reply(error: LocalError) -> Config:
    conditions, wait = _conditions(error), _wait(error)
    return {
        "filter": conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": conditions}},
        **_said(error),
        **({"headers_to_add": _added(*wait)} if wait else {}),
        "body_format_override": {"json_format": _error_body(error)},
    }


def _wait(error: LocalError) -> list[tuple[str, str]]:
    return [] if error.pushback_ms is None else [("retry-after", str(math.ceil(error.pushback_ms / 1000)))]


def _said(error: LocalError) -> Config:
    status: Config = {} if error.becomes is None else {"status_code": error.becomes}
    return status if error.message is None else {**status, "body": {"inline_string": error.message}}


def _added(*headers: tuple[str, str]) -> list[Config]:
    return [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in headers
    ]


def _details(error: LocalError) -> list[tuple[str, str]]:
    """The reason code for gRPC clients, where the message is known: they refuse details with another one."""
    if error.message is None:
        return []
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    status = rich_status(error.grpc_status, error.message, info, pushback_ms=error.pushback_ms)
    wait = [] if error.pushback_ms is None else [(PUSHBACK_KEY, str(error.pushback_ms))]
    return [(DETAILS_KEY, base64.b64encode(status).decode()), *wait]


def _conditions(error: LocalError) -> list[Config]:
    value = {"default_value": error.http_status, "runtime_key": f"gateway.local_reply.{error.http_status}"}
    status: Config = {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}
    missing = [] if error.missing is None else [_header(error.missing, present_match=False)]
    flagged: list[Config] = [] if error.flag is None else [{"response_flag_filter": {"flags": [error.flag]}}]
    detailed = [] if error.detail is None else [_detail(error.detail)]
    left = [] if error.metadata is None else [_metadata(*error.metadata)]
    return [status, *missing, *flagged, *detailed, *left]


def _detail(value: str) -> Config:
    name = "envoy.access_loggers.extension_filters.cel"
    kind = "extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return {"extension_filter": extension(name, kind, expression=f"response.code_details == '{value}'")}


def _metadata(filter_name: str, *path_and_value: str) -> Config:
    *path, value = path_and_value
    keys = [{"key": key} for key in path]
    matcher = {"filter": filter_name, "path": keys, "value": {"string_match": {"exact": value}}}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _header(name: str, **match: object) -> Config:
    return {"header_filter": {"header": {"name": name, **match}}}


# A transcoded request also carries a gRPC content type by then, and the header that remembers its first path.
_NATIVE_GRPC: list[Config] = [
    _header("content-type", string_match={"prefix": "application/grpc"}),
    _header("x-envoy-original-path", present_match=False),
]


def _error_body(error: LocalError) -> Config:
    """The JSON form of `google.rpc.Status`, as the transcoder prints the server's own errors."""
    info: Config = {"@type": _TYPE + "ErrorInfo", "reason": error.reason.value, "domain": DOMAIN}
    request: Config = {"@type": _TYPE + "RequestInfo", "request_id": REQUEST_ID}
    details = [info, _bad_request(error.reason), request] if error.names_field else [info, request]
    return {"code": error.grpc_status, "message": "%LOCAL_REPLY_BODY%", "details": details}


def _bad_request(reason: Reason) -> Config:
    said = {name: f"%DYNAMIC_METADATA({CHECK}:{name})%" for name in ("field", "description")}
    return {"@type": _TYPE + "BadRequest", "field_violations": [{**said, "reason": reason.value}]}
