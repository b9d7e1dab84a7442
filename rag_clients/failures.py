"""Read a failed gRPC call: its status, and what the server said of it in `google.rpc.Status`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

_REQUEST_ID_KEY = "x-request-id"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call. Without a `reason` the call did not reach a server of ours, or something in between cut it."""

    status: str
    """Name of the gRPC status."""
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of `ErrorInfo`."""
    request_id: str = ""
    """The id under which the server's log has the details."""
    field: str = ""
    """The first field of the request that is invalid."""
    retry_after: int | None = None
    """Seconds, rounded up, after which the server expects the call again."""


def read_failure(error: grpc.RpcError) -> Failure:
    """Read the error of a blocking or an asyncio stub."""
    if not hasattr(error, "code"):  # the base class says nothing; only the errors of calls do
        return Failure("UNKNOWN", "")
    failed: Any = error
    said: dict[str, Any] = {}
    for detail in _details(failed):
        said |= _said(detail)
    return Failure(failed.code().name, failed.details() or "", request_id=_request_id(failed), **said)


def _details(error: Any) -> Iterator[Any]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # status and message of the details differ: a proxy in between made the error
        return
    yield from status.details if status is not None else ()


def _said(detail: Any) -> dict[str, Any]:
    info, delay, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    if detail.Unpack(info):
        return {"reason": info.reason, "metadata": dict(info.metadata)}
    if detail.Unpack(delay):
        return {"retry_after": max(1, delay.retry_delay.seconds + (delay.retry_delay.nanos > 0))}
    if detail.Unpack(bad) and bad.field_violations:
        return {"field": bad.field_violations[0].field}
    return {}


def _request_id(error: Any) -> str:
    sent = error.trailing_metadata() or ()
    return next((str(value) for key, value in sent if key == _REQUEST_ID_KEY), "")
