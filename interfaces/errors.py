"""Errors of the platform as callers of these interfaces get them: a stable reason code and a sentence, nothing else."""

from __future__ import annotations

from contextvars import ContextVar

import grpc

from rag_clients.failures import read_failure

_HTTP: dict[str, int] = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_TRANSPORT: dict[str, tuple[str, str]] = {
    "UNAVAILABLE": ("SERVER_UNAVAILABLE", "the query server cannot be reached; try again"),
    "DEADLINE_EXCEEDED": ("DEADLINE", "the time allowed for the call ran out"),
    "CANCELLED": ("CANCELLED", "the call was cancelled"),
    "UNAUTHENTICATED": ("TOKEN_INVALID", "the credentials do not verify; get new ones"),
    "RESOURCE_EXHAUSTED": ("REQUEST_TOO_LARGE", "the message is larger than the server accepts"),
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
    failure = read_failure(error)
    said = (failure.reason, failure.message) if failure.reason else None
    reason, message = said or _TRANSPORT.get(failure.status, ("INTERNAL", _INTERNAL))
    status = _HTTP.get(failure.status, 500)
    return ApiError(status, reason, message, field=failure.field or None, retry_after=failure.retry_after)
