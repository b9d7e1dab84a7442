"""The mapping from errors to gRPC statuses, and the details sent with them."""

from __future__ import annotations

import re
from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from rag_core.errors import QuotaExceeded, RagError, Reason

DOMAIN = "rag-platform"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
PUSHBACK_MS = 250
"""Time that a caller is asked to wait after OVERLOADED."""
REQUEST_ID_KEY = "x-request-id"
INTERNAL_MESSAGE = "internal error; report the request id"

MAX_TEXT_BYTES = 1024
"""Limit of one text in the trailers, as it travels. Clients refuse trailers of 8 kB in all: a name of theirs that an
error quotes must not turn the error into another one."""
_VIOLATION_BYTES: Final = 512
_MORE = "…"

Metadata = tuple[tuple[str, str | bytes], ...]


def code_of(error: RagError) -> grpc.StatusCode:
    """The status of an error's class; INTERNAL for an error of no branch."""
    return grpc.StatusCode[error.status]


def internal_error() -> RagError:
    """Message of an internal error; it contains nothing of the exception's text."""
    return RagError(Reason.INTERNAL, INTERNAL_MESSAGE)


NO_RETRY = "-1"
"""Pushback that tells a client's own retries to stop."""
RETRY_AFTER_KEY = "retry-after"


def trailers(error: RagError, request_id: str, *, pushback_ms: int | None = None) -> Metadata:
    """Trailing metadata of a failed call: `google.rpc.Status` with ErrorInfo and RequestInfo, and pushback if any.

    After a budget that renews by itself the details say when, and clients that retry by themselves do not wait for it.
    """
    if isinstance(error, QuotaExceeded):
        return _quota(error, request_id)
    request = error_details_pb2.RequestInfo(request_id=request_id)
    fields = {name: bounded(value) for name, value in error.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=fields)
    details: list[Message] = [info, *_violations(error), request]
    status = rich_status(code_of(error).value[0], bounded(error.message), *details, pushback_ms=pushback_ms)
    metadata: Metadata = ((REQUEST_ID_KEY, request_id), (DETAILS_KEY, status))
    return metadata if pushback_ms is None else (*metadata, (PUSHBACK_KEY, str(pushback_ms)))


def _quota(error: QuotaExceeded, request_id: str) -> Metadata:
    request = error_details_pb2.RequestInfo(request_id=request_id)
    seconds = error.metadata.get("retry_seconds")
    fields = {name: bounded(value) for name, value in error.metadata.items() if name != "retry_seconds"}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=fields)
    wait = None if seconds is None else int(seconds) * 1000
    status = rich_status(code_of(error).value[0], bounded(error.message), info, request, pushback_ms=wait)
    metadata: Metadata = ((REQUEST_ID_KEY, request_id), (DETAILS_KEY, status), (PUSHBACK_KEY, NO_RETRY))
    return metadata if seconds is None else (*metadata, (RETRY_AFTER_KEY, seconds))


_FIELD: Final = re.compile(r"\A[a-z][a-z0-9_]{0,63}+(?:\[[0-9]{1,9}+\]|\.[A-Za-z0-9_]{1,64}+){0,16}\Z")


def _violations(error: RagError) -> list[Message]:
    """`BadRequest` of an invalid request whose message names the field, as messages about a field begin."""
    field, _, said = error.message.partition(":")
    if code_of(error) is not grpc.StatusCode.INVALID_ARGUMENT or not said.strip() or not _FIELD.match(field):
        return []
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=field, description=bounded(said.strip(), _VIOLATION_BYTES), reason=error.reason
    )
    return [error_details_pb2.BadRequest(field_violations=[violation])]


def bounded(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """A text that can travel: without lone surrogates, and its beginning when it is longer than `limit` bytes.

    gRPC sends every byte of a message that is not printable ASCII as three (`%E2`).
    """
    text = text.encode("utf-8", "replace").decode()
    if _travelling(text) <= limit:
        return text
    left, kept = limit - _travelling(_MORE), 0
    for char in text:
        left -= _travelling(char)
        if left < 0:
            break
        kept += 1
    return text[:kept] + _MORE


def _travelling(text: str) -> int:
    plain = sum(" " <= char <= "~" and char != "%" for char in text)
    return plain + 3 * (len(text.encode()) - plain)


def rich_status(code: int, message: str, *details: Message, pushback_ms: int | None = None) -> bytes:
    """`google.rpc.Status` as it travels under `DETAILS_KEY`, with RetryInfo when there is pushback."""
    if pushback_ms is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(pushback_ms)
        details = (*details, error_details_pb2.RetryInfo(retry_delay=delay))
    packed: bytes = status_pb2.Status(code=code, message=message, details=map(_pack, details)).SerializeToString()
    return packed


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
