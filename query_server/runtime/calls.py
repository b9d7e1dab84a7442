"""One call as it passes through the layers: caller, deadline, and fields of its log line."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

import grpc.aio

from rag_core.governance.access import Principal
from rag_core.retrieval.index import SearchResult
from rag_tracing import NOTHING, Span


@dataclass(slots=True)
class CallState:
    """The state of one RPC. `deadline` is a reading of `time.monotonic`; `facts` end up in the log line."""

    method: str
    context: grpc.aio.ServicerContext[object, object]
    request_id: str = ""
    started: float = field(default_factory=time.monotonic)
    deadline: float = float("inf")
    reason: str = ""
    log_fields: dict[str, object] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    """The queries of the call; only a keyed hash of each leaves the process, and only with RAG_AUDIT_QUERIES."""
    identity: Principal | None = None
    weight: int = 1
    """The number of calls it counts as: the searches of a batch."""
    answer_bytes: int = 0
    """Bytes of the messages sent so far."""
    span: Span = NOTHING
    _headers: dict[str, str | bytes] | None = None

    @property
    def principal(self) -> Principal:
        """The verified caller. Raises `LookupError` where no token was verified: a bug, never open access."""
        if self.identity is None:
            raise LookupError(f"{self.method} has no verified caller")
        return self.identity

    def remaining(self) -> float:
        """Seconds until the deadline; not below 0."""
        return max(0.0, self.deadline - time.monotonic())

    def log_result(self, result: SearchResult) -> None:
        """Put what was retrieved into the log line."""
        self.log_fields.update(generation=result.generation, hits=len(result.hits))

    def header(self, name: str) -> str | None:
        """The first text value of a metadata key that the client sent."""
        if self._headers is None:  # grpc makes the metadata again each time it is asked
            self._headers = dict(reversed([*(self.context.invocation_metadata() or ())]))
        value = self._headers.get(name)
        return value if isinstance(value, str) else None


_current: ContextVar[CallState] = ContextVar("call")


def current_call() -> CallState:
    """The call that this task handles. Raises `LookupError` outside of one."""
    return _current.get()


def enter_call(call: CallState) -> None:
    """Make `call` current for the rest of this task (grpc.aio runs each RPC in a task of its own)."""
    _current.set(call)
