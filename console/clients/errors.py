"""Errors of the console's clients: a code to show, never a stack trace; and a circuit breaker."""

from __future__ import annotations

import re
import threading
import time

import grpc

from rag_clients.failures import read_failure

# --------------------------------------------------------------------------------------------------------------------
# Errors of every client of the console: a code to show, never a stack trace or a raw message.


_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
DENIED = frozenset({"SCOPE_MISSING", "PERMISSION_DENIED"})
SIGNED_OUT = frozenset(
    {"TOKEN_MISSING", "TOKEN_MALFORMED", "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_AUDIENCE", "TOKEN_REVOKED",
     "TENANT_MISSING"}
)  # fmt: skip
_DOWN = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "DEADLINE", "DATABASE_UNAVAILABLE", "INDEX_UNAVAILABLE", "DAGSTER_UNAVAILABLE",
     "SERVER_UNAVAILABLE", "UNIMPLEMENTED", "SHUTTING_DOWN", "CANCELLED", "UNKNOWN", "METRICS_UNAVAILABLE",
     "GITLAB_UNAVAILABLE", "TRACES_UNAVAILABLE"}
)  # fmt: skip


class ServiceError(Exception):
    """A service refused a request or did not answer. `code` is a reason code of the platform or a gRPC status name.

    `detail` is the platform's own sentence on a request it refused; it is plain text and may be empty. `id` stands
    beside the details in the platform's log.
    """

    def __init__(self, service: str, code: str, detail: str = "", id: str = "") -> None:  # noqa: A002
        super().__init__(f"{service}: {code}")
        self.service = service
        self.code = code if _CODE.fullmatch(code) else "UNKNOWN"
        self.detail = detail[:500]
        self.id = id[:100]

    @property
    def down(self) -> bool:
        """Whether the service could not be reached, as opposed to a refusal."""
        return self.code in _DOWN


def from_rpc(service: str, error: grpc.RpcError) -> ServiceError:
    """The platform's reason when the server gave one, else the name of the gRPC status."""
    failure = read_failure(error)
    detail = failure.message if failure.reason else ""
    return ServiceError(service, failure.reason or failure.status, detail, failure.request_id)


# --------------------------------------------------------------------------------------------------------------------
# Circuit breaker: skip calls to a service that timed out recently.


OPEN_SECONDS = 3.0


class CircuitBreaker:
    """Remembers which service timed out. Thread-safe."""

    def __init__(self) -> None:
        self._silent: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def require(self, service: str) -> None:
        """Raise `ServiceError` for a service that timed out less than `OPEN_SECONDS` ago."""
        with self._lock:
            until, code = self._silent.get(service, (0.0, ""))
        if time.monotonic() < until:
            raise ServiceError(service, code)

    def record_timeout(self, service: str, code: str) -> None:
        """Record a timeout."""
        with self._lock:
            self._silent[service] = (time.monotonic() + OPEN_SECONDS, code)
