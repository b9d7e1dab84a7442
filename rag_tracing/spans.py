"""Spans and the W3C context: what every process calls, whether traces are on or off.

A `span` belongs to a trace that has begun: without one, or with one that is not sampled, it is nothing and costs
nothing. Traces begin at an `entry`: a request, a batch of messages, a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from rag_tracing.recorder import Recorder

INTERNAL: Final = 0
SERVER: Final = 1
CLIENT: Final = 2
PRODUCER: Final = 3
CONSUMER: Final = 4
P = ParamSpec("P")
T = TypeVar("T")
Attributes = Mapping[str, Any]


class Span(Protocol):
    """What a block can say about itself."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes; those that are `None` are left out."""
        ...

    def rename(self, name: str) -> None:
        """Give it the name that is only known later."""
        ...

    def end_as(self, error: str, *, failed: bool) -> None:
        """How it ended: a reason code, empty for none, and whether that is a failure of ours. Decides over what an
        exception that leaves the block would say."""
        ...

    def __enter__(self) -> Span: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Nothing:
    """The span of a block that is not recorded."""

    __slots__ = ()

    def set(self, attributes: Attributes) -> None:
        return

    def rename(self, name: str) -> None:
        return

    def end_as(self, error: str, *, failed: bool) -> None:
        return

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return


NOTHING: Final[Span] = _Nothing()
_recorder: Recorder | None = None
_content = False


def install(recorder: Recorder | None, *, content: bool = False) -> None:
    """Record with this, or no more."""
    global _recorder, _content
    _recorder, _content = recorder, content


def content() -> bool:
    """Whether spans may hold the text of questions (`RAG_TRACE_CONTENT`)."""
    return _content


def recording() -> bool:
    """Whether a `span` that is begun now is recorded."""
    return _recorder is not None and _recorder.sampled()


def span(name: str, attributes: Attributes | None = None, kind: int = INTERNAL, *, current: bool = True) -> Span:
    """A block within the trace that is current; nothing outside of one.

    `current=False`: what happens in it does not belong to it; for generators, whose block is not theirs alone.
    """
    return NOTHING if _recorder is None else _recorder.span(name, attributes, kind, current=current)


def entry(
    name: str,
    headers: Mapping[str, str] | None = None,
    attributes: Attributes | None = None,
    kind: int = SERVER,
    *,
    begins: bool = True,
) -> Span:
    """A block that continues the trace of `headers` (`traceparent`, `tracestate`), or begins one.

    `begins=False` leaves that to the callers: without their context it is nothing.
    """
    return NOTHING if _recorder is None else _recorder.entry(name, headers, attributes, kind, begins=begins)


def consume(name: str, parents: Sequence[str | None], attributes: Attributes | None = None) -> Span:
    """A batch of messages, each with the `traceparent` that was kept with it.

    The block and what is in it become part of each of these traces, so that every one shows its message to the end.
    Nothing when no message has one.
    """
    return NOTHING if _recorder is None else _recorder.consume(name, parents, attributes)


def traceparent() -> str | None:
    """The W3C context of this moment, to be kept with a message; `None` outside of a sampled trace."""
    return None if _recorder is None else _recorder.outgoing().get("traceparent")


def outgoing() -> tuple[tuple[str, str], ...]:
    """Headers for a call to another process; none outside of a sampled trace."""
    return () if _recorder is None else tuple(_recorder.outgoing().items())


def current_ids() -> tuple[str, str] | None:
    """Trace and span id of this moment, as logs have them; `None` outside of a sampled trace."""
    return None if _recorder is None else _recorder.ids()


def exemplar(traceparent: str | None = None) -> dict[str, str] | None:
    """The exemplar of a measurement that is taken now, or of a message with this context; `None` when not sampled."""
    if _recorder is None:
        return None
    ids = _recorder.ids() if traceparent is None else _recorder.ids_of(traceparent)
    return None if ids is None else {"trace_id": ids[0], "span_id": ids[1]}


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """A function that another thread may call as part of this trace; the function itself when there is none."""
    return function if _recorder is None else _recorder.carried(function)
