"""Errors of the platform as callers of these interfaces get them: a stable reason code and a sentence, nothing else."""

from __future__ import annotations

from contextvars import ContextVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

_HTTP: dict[grpc.StatusCode, int] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_TRANSPORT: dict[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("SERVER_UNAVAILABLE", "the query server cannot be reached; try again"),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE", "the time allowed for the call ran out"),
    grpc.StatusCode.CANCELLED: ("CANCELLED", "the call was cancelled"),
    grpc.StatusCode.UNAUTHENTICATED: ("TOKEN_INVALID", "the credentials do not verify; get new ones"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("REQUEST_TOO_LARGE", "the message is larger than the server accepts"),
}
"""Failures of the connection itself, which carry no reason code."""
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered, as the gateway gave it."""
QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
_INTERNAL = "internal error; report the request id"


class ApiError(Exception):
    """A refusal or a failure. `field` is the part of the request it is about, when that is known."""

    def __init__(
        self, status: int, reason: str, message: str, *, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.request_id = REQUEST_ID.get()

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response. OpenAI's clients would try again a few times within seconds of a used-up budget."""
        wait = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return wait | ({"x-should-retry": "false"} if self.reason == QUOTA_EXCEEDED else {})


def invalid(field: str, message: str) -> ApiError:
    """A field of the request has a value it cannot have."""
    return ApiError(400, "FIELD_INVALID", f"{field}: {message}", field=field)


def internal() -> ApiError:
    """An error of our own, without anything of its text."""
    return ApiError(500, "INTERNAL", _INTERNAL)


def from_rpc(error: grpc.aio.AioRpcError) -> ApiError:
    """The error of a call, with the reason code that the server gave."""
    code = error.code()
    reason, message = _TRANSPORT.get(code, ("INTERNAL", _INTERNAL))
    wait = field = None
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        status = None
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            reason, message = info.reason, status.message
        delay = error_details_pb2.RetryInfo()
        if detail.Unpack(delay):
            wait = max(1, delay.retry_delay.seconds + (delay.retry_delay.nanos > 0))
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
    return ApiError(_HTTP.get(code, 500), reason, message, field=field, retry_after=wait)
