"""Spans that are recorded. Imported by `startup` alone, when traces are on: it is what imports OpenTelemetry."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from rag_tracing.spans import CONSUMER, NOTHING, Attributes, Span

MAX_TRACES: Final = 64
"""Traces of one batch at most that get spans of their own."""
P = ParamSpec("P")
T = TypeVar("T")
_KINDS = tuple(SpanKind(number) for number in range(5))
_NO_CONTEXT = Context()
# Baggage is what a caller says, and would travel into every call that a request makes: it is not carried.
_W3C = TraceContextTextMapPropagator()
_copies: contextvars.ContextVar[tuple[SdkSpan, ...]] = contextvars.ContextVar("rag_trace_copies", default=())
"""The current spans of the further traces that a batch is part of."""


class Recorder:
    """The functions of `rag_tracing.spans` while traces are on."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def sampled(self) -> bool:
        return _is_sampled(get_current_span())

    def span(self, name: str, attributes: Attributes | None, kind: int, *, current: bool) -> Span:
        if not _is_sampled(get_current_span()):
            return NOTHING
        return _Recorded(self._tracer, name, attributes, kind, None, _copies.get(), current=current)

    def entry(
        self, name: str, headers: Mapping[str, str] | None, attributes: Attributes | None, kind: int, *, begins: bool
    ) -> Span:
        context = _extracted(headers)
        if context is None and not begins:
            return NOTHING
        return _Recorded(self._tracer, name, attributes, kind, context or _NO_CONTEXT, ())

    def consume(self, name: str, parents: Sequence[str | None], attributes: Attributes | None) -> Span:
        found = [_extracted({"traceparent": one}) for one in dict.fromkeys(parents) if one]
        spans = [get_current_span(context) for context in found if context is not None]
        sampled = [one for one in spans if _is_sampled(one)][:MAX_TRACES]
        if not sampled:
            return NOTHING
        parent = set_span_in_context(sampled[0], _NO_CONTEXT)
        return _Recorded(self._tracer, name, attributes, CONSUMER, parent, tuple(sampled[1:]))

    def outgoing(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self.sampled():
            _W3C.inject(headers)
        return headers

    def ids(self) -> tuple[str, str] | None:
        return _ids(get_current_span())

    def ids_of(self, traceparent: str) -> tuple[str, str] | None:
        context = _extracted({"traceparent": traceparent})
        return None if context is None else _ids(get_current_span(context))

    def carried(self, function: Callable[P, T]) -> Callable[P, T]:
        if not self.sampled():
            return function
        context = contextvars.copy_context()

        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            # A copy each: two threads cannot be in one context.
            return context.copy().run(function, *args, **kwargs)

        return run


class _Recorded:
    """A block that is recorded, in every trace it is part of."""

    __slots__ = (
        "_attributes",
        "_before",
        "_current",
        "_ended_as",
        "_kind",
        "_name",
        "_others",
        "_parent",
        "_spans",
        "_token",
        "_tracer",
    )

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        attributes: Attributes | None,
        kind: int,
        parent: Context | None,
        others: tuple[SdkSpan, ...],
        *,
        current: bool = True,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._kind = kind
        self._parent = parent
        self._others = others
        self._ended_as = False
        self._current = current

    def __enter__(self) -> Span:
        begin, kind, attributes = self._tracer.start_span, _KINDS[self._kind], self._attributes
        first = begin(self._name, self._parent, kind, attributes)
        further = [begin(self._name, set_span_in_context(one), kind, attributes) for one in self._others]
        self._spans = (first, *further)
        if self._current:
            self._token = attach(set_span_in_context(first, self._parent))
            self._before = _copies.set(tuple(further))
        return self

    def set(self, attributes: Attributes) -> None:
        known = {name: value for name, value in attributes.items() if value is not None}
        for one in self._spans:
            one.set_attributes(known)

    def rename(self, name: str) -> None:
        for one in self._spans:
            one.update_name(name)

    def end_as(self, error: str, *, failed: bool) -> None:
        self._ended_as = True
        if error:
            _mark(self._spans, error, failed=failed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not self._ended_as:
            # The reason code of an error, or its type: its text may quote a document.
            _mark(self._spans, str(getattr(error, "reason", "") or type(error).__qualname__), failed=True)
        for one in reversed(self._spans):
            one.end()
        if self._current:
            _copies.reset(self._before)
            detach(self._token)


def _mark(spans: Sequence[SdkSpan], error: str, *, failed: bool) -> None:
    for one in spans:
        one.set_attribute("error.type", error)
        if failed:
            one.set_status(Status(StatusCode.ERROR, error))


def _ids(span: SdkSpan) -> tuple[str, str] | None:
    context = span.get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.trace_flags.sampled else None


def _is_sampled(span: SdkSpan) -> bool:
    return span.get_span_context().trace_flags.sampled


def _extracted(headers: Mapping[str, str] | None) -> Context | None:
    """`None` without a valid context."""
    if not headers:
        return None
    found = _W3C.extract(headers, _NO_CONTEXT)
    return found if get_current_span(found).get_span_context().is_valid else None
