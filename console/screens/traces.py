"""Traces: the newest requests, pushes and runs, and one of them as a waterfall."""

from __future__ import annotations

import streamlit as st

from console.clients.traces import Trace
from console.components.waterfall import waterfall_chart
from console.components.widgets import at, chosen_row, load_or_report, table
from console.presenters import traces as presenters
from console.session import shared, t

_LIMIT = 50
_GATEWAY = "rag-gateway"
_LEAST = (0, 10, 100, 1000, 10_000)


def listed() -> str | None:
    """The newest traces; returns the id of the one that was chosen."""
    client = shared().traces
    services = load_or_report("traces", client.services)
    if services is None:
        return None
    if not services:
        st.caption(t("No traces yet. They appear a few seconds after a request."))
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = services.index(_GATEWAY) if _GATEWAY in services else 0
        service = st.selectbox(t("Service"), services, index=first, key="tr-service")
        least = st.selectbox(t("Took at least"), _LEAST, format_func=lambda ms: f"{ms:,} ms", key="tr-least")
        st.button(t("Refresh"), icon=":material/refresh:")
    found = load_or_report("traces", lambda: client.search(service, limit=_LIMIT, least_ms=least))
    if found is None:
        return None
    rows = [
        {**row, "at": at(row["at"]), "ms": f"{row['ms']:,.1f}", "failed": row["failed"] or ""}
        for row in presenters.trace_rows(found)
    ]
    columns = {"at": t("Time"), "name": t("First span"), "ms": t("Took (ms)"), "spans": t("Spans"),
               "failed": t("Failed"), "services": t("Services")}  # fmt: skip
    event = table(
        rows, columns, empty=t("No trace matches."), on_select="rerun", selection_mode="single-row", key="tr-list"
    )
    row = chosen_row(event)
    return str(rows[row]["trace_id"]) if row is not None and row < len(rows) else None


def shown(trace: Trace) -> None:
    """One trace and, below it, the attributes of a span."""
    rows, total = presenters.waterfall(trace), presenters.total_ms(trace)
    st.subheader(t("Trace {trace}", trace=trace.trace_id), anchor=False)
    st.caption(
        t("{spans} spans in {total} ms, begun {time}.", spans=len(rows), total=f"{total:,.1f}",
          time=at(rows[0]["at"]) if rows else "–")
    )  # fmt: skip
    if trace.more:
        st.caption(t("{more} further spans are not shown.", more=f"{trace.more:,}"))
    waterfall_chart(rows, total)
    by_id = {row["span_id"]: row for row in rows}
    span = st.selectbox(
        t("Attributes of a span"),
        list(by_id),
        format_func=lambda one: f"{by_id[one]['name']} · {by_id[one]['service']} · {by_id[one]['ms']:,.1f} ms",
        key=f"tr-span-{trace.trace_id}",
    )
    columns = {"attribute": t("Attribute"), "value": t("Value")}
    table(presenters.details(trace, span), columns, empty=t("This span has none."))


st.title(t("Traces"))
st.caption(t("Requests, pushes and runs of all tenants, without the text of questions and documents."))
asked = st.text_input(t("Trace id"), value=st.query_params.get("trace", ""), placeholder=t("from a log line")).strip()
chosen = listed()
wanted = chosen or asked
if wanted:
    st.query_params["trace"] = wanted
    found = load_or_report("traces", lambda: [shared().traces.trace(wanted)])
    if found is not None and found[0] is None:
        st.caption(t("There is no such trace, or it is not kept any more."))
    elif found is not None and found[0] is not None and found[0].spans:
        shown(found[0])
