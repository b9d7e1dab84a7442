"""`rag trace`: the traces that `rag up --traces` keeps, or those of a Jaeger."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from rag_core.errors import NotFound, Reason, Unavailable
from ragctl.output import Json, emit_json, say, table

if TYPE_CHECKING:
    from console.clients.traces import Trace, TracesClient

app = App(
    name="trace",
    help="Show traces: where the time of a request, a push or a run went.\n\nExample: rag trace list",
    help_format="plaintext",
)
_NAME_WIDTH = 60
_POLL_SECONDS = 0.5
_QUIET_SECONDS = 6.0
"""Processes hold spans back for five seconds at most (the SDK's and Envoy's default)."""


@app.command(name="list")
def newest(
    *,
    service: str = "rag-gateway",
    least_ms: Annotated[float, Parameter(validator=Number(gte=0))] = 0,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=200))] = 20,
    url: str | None = None,
    json: Json = False,
) -> None:
    """List the newest traces that a service was part of.

    Example: rag trace list --service rag-stream --least-ms 500

    Parameters
    ----------
    service
        Part of the trace: rag-gateway, rag-interfaces, rag-query-server, rag-index, rag-stream or rag-dagster.
    least_ms
        Only traces with a span of that service which took so many milliseconds.
    limit
        How many.
    url
        Jaeger's query service instead of the store of this machine.
    """
    from console.presenters.traces import trace_rows

    with closing(_client(url)) as client:
        rows = trace_rows(_read(lambda: client.search(service, limit=limit, least_ms=least_ms)))
    if json:
        emit_json(rows)
        return
    shown = [
        (row["trace_id"], _clock(row["at"]), row["name"], f"{row['ms']:,.1f}", row["spans"], row["failed"] or "")
        for row in rows
    ]
    table(("trace", "begun", "first span", "ms", "spans", "failed"), shown, empty="no traces")


@app.command
def show(
    trace_id: str,
    /,
    *,
    wait: str | None = None,
    seconds: Annotated[float, Parameter(validator=Number(gte=0, lte=600))] = 30,
    url: str | None = None,
    json: Json = False,
) -> None:
    """Show one trace: each span below the one it is part of, its service, when it began, and how long it took.

    Example: rag trace show 0af7651916cd43dd8448eb211c80319c

    Parameters
    ----------
    trace_id
        From a log line, an exemplar, or the `traceparent` of a request.
    wait
        Name of a span to wait for, and for those it is part of: processes send theirs some seconds after the fact.
    seconds
        How long to wait for it.
    url
        Jaeger's query service instead of the store of this machine.
    """
    from console.presenters.traces import waterfall

    with closing(_client(url)) as client:
        found = _awaited(client, trace_id, wait, time.monotonic() + (seconds if wait else 0))
    rows = waterfall(found)
    if json:
        emit_json({"trace_id": found.trace_id, "more": found.more, "spans": [_plain(row) for row in rows]})
        return
    for row in rows:
        failed = "  failed" if row["failed"] else ""
        name = f"{'  ' * row['depth']}{row['name']}"
        say(f"{name:<{_NAME_WIDTH}} {row['service']:<18} {row['begin']:>+9.1f} {row['ms']:>9.1f} ms{failed}")


def _awaited(client: TracesClient, trace_id: str, wanted: str | None, until: float) -> Trace:
    """Raises `NotFound` (`TRACE_NOT_FOUND`) for a trace, or a span that it has not by then."""
    spans, since = 0, time.monotonic()
    while True:
        found: Trace | None = _read(lambda: client.trace(trace_id, most=None))
        if found is not None and len(found.spans) != spans:
            spans, since = len(found.spans), time.monotonic()
        there = found is not None and (wanted is None or any(span.name.lstrip("/") == wanted for span in found.spans))
        late = time.monotonic() >= until
        if found is not None and there and (late or wanted is None or _is_whole(found, time.monotonic() - since)):
            return found
        if late:
            what = "no such trace" if found is None else f"this trace has no span {wanted!r}"
            raise NotFound(Reason.TRACE_NOT_FOUND, f"{what}; it may not have arrived yet (--wait), or be kept no more")
        time.sleep(_POLL_SECONDS)


def _is_whole(trace: Trace, quiet: float) -> bool:
    """Whether each span but the first has its parent here: processes send theirs at different times.

    The parent of the first may be a span of the caller, which never comes: that is known where the first is the
    gateway's, or once nothing has come for longer than any process holds its spans back.
    """
    from ragctl.gateway.tracing import SERVICE

    known = {span.span_id for span in trace.spans}
    tops = [span for span in trace.spans if span.parent not in known]
    if len(tops) != 1:
        return False
    first = tops[0]
    return not first.parent or first.service == SERVICE or quiet > _QUIET_SECONDS


def _client(url: str | None) -> TracesClient:
    from console.clients.traces import TracesClient
    from console.settings import ConsoleSettings
    from rag_core.settings import Settings

    return TracesClient(ConsoleSettings(traces_url=url or f"http://127.0.0.1:{Settings.load().traces_port}"))


def _read(ask: Any) -> Any:
    from console.clients.errors import ServiceError

    try:
        return ask()
    except ServiceError:
        message = "no store of traces answers: start one by `rag up --traces`, or name a Jaeger by --url"
        raise Unavailable(Reason.TRACES_UNAVAILABLE, message) from None


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    named = ("span_id", "depth", "name", "service", "begin", "ms", "failed")
    return {name: row[name] for name in named}


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"
