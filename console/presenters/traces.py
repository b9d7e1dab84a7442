"""From traces to the rows of a list and of a waterfall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from console.clients.traces import Span, Trace

_INDENT = "\u2003"
_KEEPS_INDENT = "\u200b"
"""Of no width, and no space to Vega, which removes spaces at the beginning of a label."""
_MAX_NAME = 60


def trace_rows(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """A row per trace: when it began, its first span, how long it took, how much of it failed."""
    return [_trace_row(trace) for trace in traces if trace.spans]


def waterfall(trace: Trace) -> list[dict[str, Any]]:
    """A row per span in the order of a tree, parents first; times in milliseconds from the first."""
    if not trace.spans:
        return []
    begun = min(span.started for span in trace.spans)
    return [
        {
            "row": number,
            "depth": depth,
            "label": f"{_KEEPS_INDENT}{_INDENT * depth}{_cut(_short(span.name))}",
            "name": span.name,
            "service": span.service,
            "begin": (span.started - begun) * 1000,
            "end": (span.started - begun + span.seconds) * 1000,
            "ms": span.seconds * 1000,
            "failed": span.failed,
            "span_id": span.span_id,
            "at": begun,
        }
        for number, (depth, span) in enumerate(_tree(trace.spans))
    ]


def details(trace: Trace, span_id: str) -> list[dict[str, str]]:
    """The attributes of a span."""
    found = next((span for span in trace.spans if span.span_id == span_id), None)
    if found is None:
        return []
    return [{"attribute": name, "value": value} for name, value in sorted(found.attributes.items()) if value]


def total_ms(trace: Trace) -> float:
    """From the first beginning to the last end."""
    if not trace.spans:
        return 0.0
    begun = min(span.started for span in trace.spans)
    return (max(span.started + span.seconds for span in trace.spans) - begun) * 1000


def _trace_row(trace: Trace) -> dict[str, Any]:
    first = min(trace.spans, key=lambda span: span.started)
    services = dict.fromkeys(span.service.removeprefix("rag-") for span in trace.spans)
    return {
        "trace_id": trace.trace_id,
        "at": first.started,
        "name": _short(first.name),
        "ms": total_ms(trace),
        "spans": len(trace.spans) + trace.more,
        "failed": sum(span.failed for span in trace.spans),
        "services": ", ".join(services),
    }


def _tree(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Depth and span. Spans whose parent is not here, or that are in a circle, are roots."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent if span.parent in known else "", []).append(span)
    seen: set[str] = set()
    for root in (*children.get("", ()), *spans):
        stack = [(0, root)]
        while stack:
            depth, span = stack.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            yield depth, span
            stack += [(depth + 1, child) for child in reversed(children.get(span.span_id, ()))]


def _short(name: str) -> str:
    """Names of RPCs without the package, which all of them share."""
    return name.lstrip("/").rpartition("ragproto.")[2]


def _cut(name: str) -> str:
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
