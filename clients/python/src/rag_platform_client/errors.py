"""Errors of the API by their stable reason code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_ERROR_INFO = "ErrorInfo"
_REQUEST_INFO = "RequestInfo"
_BAD_REQUEST = "BadRequest"

RETRIED = frozenset(
    {
        "OVERLOADED",
        "RATE_LIMITED",
        "INBOX_FULL",
        "SERVER_UNAVAILABLE",
        "SHUTTING_DOWN",
        "DATABASE_UNAVAILABLE",
        "INDEX_UNAVAILABLE",
        "EMBEDDER_UNAVAILABLE",
        "ANSWERER_UNAVAILABLE",
        "REVOCATIONS_UNKNOWN",
        "KEYS_UNAVAILABLE",
    }
)
"""Reasons after which the same call can succeed a moment later."""


class RagError(Exception):
    """A refusal or a failure. Match on `reason`; `message` is for people and may change."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        status: int = 0,
        request_id: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.status = status
        self.request_id = request_id
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.fields = dict(fields or {})
        """What is wrong with which field of the request, where the server knows it."""

    @property
    def retried(self) -> bool:
        """Whether the same call can succeed a moment later."""
        return self.reason in RETRIED


class RagConnectionError(RagError):
    """The gateway cannot be reached, or the connection broke."""

    def __init__(self, message: str) -> None:
        super().__init__("CONNECTION_FAILED", message)

    @property
    def retried(self) -> bool:
        """Always: every call of this client may be sent twice."""
        return True


def from_response(status: int, headers: Mapping[str, str], body: bytes) -> RagError:
    """The error of a response, of the server or of the gateway. `status` is 0 for one that ends a stream."""
    try:
        content: Any = json.loads(body)
        details = [detail for detail in content.get("details", []) if isinstance(detail, dict)]
        message = str(content["message"])
    except (ValueError, KeyError, AttributeError, TypeError):
        details, message = [], f"HTTP {status}" if status else "the answer broke off"
    info = _detail(details, _ERROR_INFO)
    return RagError(
        str(info.get("reason") or (f"HTTP_{status}" if status else "INTERNAL")),
        message,
        status=status,
        request_id=str(_detail(details, _REQUEST_INFO).get("request_id") or headers.get("x-request-id") or ""),
        metadata=info.get("metadata") or {},
        retry_after=_seconds(headers.get("retry-after")),
        fields=_violations(_detail(details, _BAD_REQUEST)),
    )


def from_success(body: bytes | str) -> Any:
    """The content of a response that succeeded. Raises `RagError` for what no server of this API sends."""
    try:
        return json.loads(body)
    except ValueError:
        raise RagError("RESPONSE_INVALID", "the response is not JSON; is this the address of the platform?") from None


def _detail(details: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next((one for one in details if str(one.get("@type", "")).endswith(f".{kind}")), {})


def _violations(detail: dict[str, Any]) -> dict[str, str]:
    found = detail.get("fieldViolations") or detail.get("field_violations") or []
    return {str(one.get("field", "")): str(one.get("description", "")) for one in found if isinstance(one, dict)}


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
