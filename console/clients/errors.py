"""Errors of the console's clients: a code to show, never a stack trace; and circuit breakers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from rag_clients.breaker import CircuitBreaker
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
     "GITLAB_UNAVAILABLE"}
)  # fmt: skip


class ServiceError(Exception):
    """A service refused a request or did not answer. `code` is a reason code of the platform or a gRPC status name.

    `detail` is the platform's own sentence on a request it refused; it is plain text and may be empty. `id` stands
    beside the details in the platform's log. `timed_out`: nothing came within the time allowed.
    """

    def __init__(
        self,
        service: str,
        code: str,
        detail: str = "",
        id: str = "",  # noqa: A002
        *,
        timed_out: bool = False,
    ) -> None:
        super().__init__(f"{service}: {code}")
        self.service = service
        self.code = code if _CODE.fullmatch(code) else "UNKNOWN"
        self.detail = detail[:500]
        self.id = id[:100]
        self.timed_out = timed_out

    @property
    def down(self) -> bool:
        """True when the service could not be reached, as opposed to a refusal."""
        return self.code in _DOWN


def from_rpc(service: str, error: grpc.RpcError) -> ServiceError:
    """The platform's reason when the server gave one, else the name of the gRPC status."""
    failure = read_failure(error)
    detail = failure.message if failure.reason else ""
    code = failure.reason or failure.status
    return ServiceError(service, code, detail, failure.request_id, timed_out=code == "DEADLINE_EXCEEDED")


# --------------------------------------------------------------------------------------------------------------------
# Skip calls to a service that timed out recently.


OPEN_SECONDS = 3.0


class Breakers:
    """A circuit breaker for each service: one call that timed out opens it. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, CircuitBreaker] = {}

    @contextmanager
    def call(self, service: str, code: str) -> Iterator[None]:
        """Around one call. Raises `ServiceError` with `code` while calls to the service are skipped."""
        breaker = self._known.setdefault(service, CircuitBreaker(1, OPEN_SECONDS))
        if not breaker.let_through():
            raise ServiceError(service, code)
        try:
            yield
        except ServiceError as error:
            (breaker.failed if error.timed_out else breaker.answered)()
            raise
        else:
            breaker.answered()
