"""The first page: is it healthy, what does it hold, what did it do last, and a question to try.

Text that comes from documents is shown by `st.text` and `st.dataframe` only, which interpret nothing: no HTML, no
Markdown, no links, no images. It never becomes a label, a key or a message.
"""

from __future__ import annotations

import time

import streamlit as st

from console import views
from console.clients import DagsterClient, DagsterHealth, GatewayClient, QueryClient, Run, ServiceError
from console.settings import ConsoleSettings
from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2

_SETTINGS = ConsoleSettings()
MAX_QUESTION_CHARS = 8192


@st.cache_resource
def _query_client() -> QueryClient:
    return QueryClient(_SETTINGS)


@st.cache_resource
def _dagster_client() -> DagsterClient:
    return DagsterClient(_SETTINGS)


@st.cache_resource
def _gateway_client() -> GatewayClient:
    return GatewayClient(_SETTINGS)


def _status() -> admin_pb2.GetStatusResponse | ServiceError:
    try:
        return _query_client().status()
    except ServiceError as error:
        return error


def _dagster_health() -> DagsterHealth | ServiceError:
    try:
        return _dagster_client().health()
    except ServiceError as error:
        return error


def _gateway_problem() -> ServiceError | None:
    try:
        _gateway_client().ready()
    except ServiceError as error:
        return error
    return None


def _runs() -> list[Run] | ServiceError:
    try:
        return _dagster_client().runs()
    except ServiceError as error:
        return error


@st.fragment(run_every=_SETTINGS.refresh_seconds)
def platform() -> None:
    """Health, figures and sources; looks again by itself, so a part that comes back shows without a reload."""
    status = _status()
    _show_health(views.health_rows(status, _dagster_health(), _gateway_problem()))
    if isinstance(status, ServiceError):
        st.warning(f"Figures: {views.unavailable(status)}.", icon=":material/cloud_off:")
        return
    _show_totals(views.totals(status))
    rows = views.source_rows(status)
    st.subheader("Sources")
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch")
    else:
        st.caption("No source has run yet.")


def _show_health(rows: list[views.HealthRow]) -> None:
    broken = [row for row in rows if not row.healthy]
    if broken:
        st.error(f"{len(broken)} of {len(rows)} components are not healthy.", icon=":material/error:")
    else:
        st.success(f"All {len(rows)} components are healthy.", icon=":material/check_circle:")
    table = [
        {"component": row.component, "state": views.OK if row.healthy else views.NOT_OK, "reason": row.reason}
        for row in rows
    ]
    st.dataframe(table, hide_index=True, width="stretch")


def _show_totals(totals: views.Totals) -> None:
    figures = {
        "Documents": totals.documents,
        "Chunks": totals.chunks,
        "Vectors": totals.vectors,
        "To be indexed": totals.pending,
        "Quarantined": totals.quarantined,
        "Held deletions": totals.held,
    }
    for column, (label, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(label, f"{value:,}")


@st.fragment(run_every=_SETTINGS.refresh_seconds)
def last_runs() -> None:
    """The newest runs of the pipeline."""
    st.subheader("Last runs")
    runs = _runs()
    if isinstance(runs, ServiceError):
        st.warning(f"Runs: {views.unavailable(runs)}.", icon=":material/cloud_off:")
        return
    rows = views.run_rows(runs, time.time())
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch")
    else:
        st.caption("No run yet.")
    st.link_button("Open Dagster", _SETTINGS.dagster_url, icon=":material/open_in_new:")


@st.fragment
def question() -> None:
    """A question through the gateway, answered as it is written."""
    st.subheader("Ask")
    with st.form("question", border=False):
        text = st.text_area(
            "Question", max_chars=MAX_QUESTION_CHARS, height=80, placeholder="What would you like to know?"
        )
        top_k = st.slider("Passages to draw on", min_value=1, max_value=50, value=10)
        asked = st.form_submit_button("Ask", type="primary")
    if not asked:
        return
    if not text.strip():
        st.info("Type a question first.")
        return
    try:
        _show_answer(text, top_k)
    except ServiceError as error:
        st.error(f"The question could not be answered: {views.unavailable(error)}.", icon=":material/cloud_off:")


def _show_answer(text: str, top_k: int) -> None:
    place, parts = st.empty(), []
    final = query_pb2.AnswerFinal()
    for event in _query_client().answer(text, top_k):
        if event.HasField("final"):
            final = event.final
        else:
            parts.append(event.delta.text)
            place.text(views.plain("".join(parts)))
    problem = views.outcome_text(final)
    if problem:
        place.empty()  # text of an answer that broke off must not be used
        st.info(problem)
        return
    for line in views.citation_lines(final.answered.citations):
        st.text(line)


st.title("Overview")
left, right = st.columns([3, 2], gap="large")
with left:
    platform()
    last_runs()
with right:
    question()
