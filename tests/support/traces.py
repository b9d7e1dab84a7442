"""Spans that this process records, kept in memory by the SDK's own exporter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_tracing import start_tracing, stop_tracing
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Recorded:
    """What was recorded."""

    exporter: InMemorySpanExporter

    def spans(self, trace_id: str) -> list[ReadableSpan]:
        """The finished spans of a trace, in the order in which they began."""
        found = [one for one in self.exporter.get_finished_spans() if f"{one.context.trace_id:032x}" == trace_id]
        return sorted(found, key=lambda one: one.start_time or 0)

    def named(self, trace_id: str, name: str) -> ReadableSpan:
        """The one span of this name, which must come."""
        assert eventually(lambda: any(one.name == name for one in self.spans(trace_id))), self.names(trace_id)
        (found,) = [one for one in self.spans(trace_id) if one.name == name]
        return found

    def names(self, trace_id: str) -> list[str]:
        """The names of the spans of a trace."""
        return [one.name for one in self.spans(trace_id)]

    def assert_ancestors(self, span: ReadableSpan, *names: str) -> None:
        """The spans above a span, up to the root, come to have these names: a server ends its own after the answer."""
        assert eventually(lambda: self._ancestors(span) == [*names]), self._ancestors(span)

    def _ancestors(self, span: ReadableSpan) -> list[str]:
        trace_id = f"{span.context.trace_id:032x}"
        by_id: dict[int, ReadableSpan] = {one.context.span_id: one for one in self.spans(trace_id)}
        names = []
        parent = span.parent
        while parent is not None and parent.span_id in by_id:
            names.append(by_id[parent.span_id].name)
            parent = by_id[parent.span_id].parent
        return names

    def settled(self, condition: Callable[[], bool]) -> bool:
        """Whether a condition comes true; a server ends its span after the answer has left."""
        return eventually(condition)


@contextmanager
def recorded(*, content: bool = False) -> Iterator[Recorded]:
    """Record every trace until the block ends."""
    exporter = InMemorySpanExporter()
    assert start_tracing("test", content=content, processors=[SimpleSpanProcessor(exporter)])
    try:
        yield Recorded(exporter)
    finally:
        stop_tracing()


def parent_of(trace_id: str, *, sampled: bool = True) -> str:
    """A `traceparent` as a client sends it."""
    return f"00-{trace_id}-00000000000000aa-0{int(sampled)}"


@pytest.fixture(name="traces")
def recorded_traces() -> Iterator[Recorded]:
    """What this process records during a test."""
    with recorded() as found:
        yield found
