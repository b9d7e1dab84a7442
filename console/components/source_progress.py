"""The first run of a new source: see that it starts, and follow it until its first document can be asked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components.source_outcome import outcome
from console.components.sources import show_source
from console.components.widgets import load_or_report, problem
from console.presenters.sources import key_of
from console.session import api, shared, t
from rag_clients.dagster import ACTIVE, job_of
from ragproto.admin.v1 import operations_pb2 as ops

_SECONDS = 2.0


@st.fragment(run_every=_SECONDS)
def first_run(draft: dict[str, Any]) -> None:
    """Have the new source loaded, see that one run starts, and show how far it is."""
    name, topic = draft["name"], draft["kind"] == "topic"  # a topic is consumed by the stream worker
    if not (topic or draft.get("drawn")):
        # The step before is still on the page until this run of the script ends, so the long part is for the next.
        draft["drawn"] = True
        st.caption(t("Loading the new source into Dagster …"))
        return
    if not (topic or draft.get("started") or draft.get("refused")):
        _start(draft, name)
    if refused := draft.get("refused"):
        problem("Dagster", refused)
        st.button(t("Try again"), on_click=lambda: draft.pop("refused"))
    else:
        _follow(name)


def _start(draft: dict[str, Any], name: str) -> None:
    source = key_of(name)
    try:
        with st.spinner(t("Loading the new source into Dagster …"), show_time=True):
            shared().dagster.load_sources()
        if not _starts_by_itself(draft, source):
            api().record("dagster.launch", job_of(source), t("First run"), name)
            shared().dagster.launch(source)
        draft["started"] = True
    except ServiceError as error:
        if error.down:
            problem("Dagster", error)  # asked again by the next run of this fragment
        else:
            draft["refused"] = error


def _starts_by_itself(draft: dict[str, Any], source: str) -> bool:
    """Return whether a run has begun since the file was written, or the change sensor starts one: it evaluates a source
    without runs at once, and fails without a run for some that cannot be read."""
    newest = shared().dagster.runs(1, job=job_of(source))
    if newest:
        return newest[0].status in ACTIVE or (newest[0].started or 0.0) > draft["written_at"]
    sensors = (one for one in shared().dagster.automations_of(source) if one.kind == "sensor")
    return not draft["unchecked"] and any(one.running for one in sensors)


@st.fragment(run_every=_SECONDS)
def follow(name: str) -> None:
    """Show how far a source is, and the way to ask once its first document is searchable."""
    _follow(name)


def _follow(name: str) -> None:
    documents = load_or_report("query server", lambda: api().find("", source=name, limit=20)) or []
    ready = [row for row in documents if row.state == ops.DOCUMENT_STATE_SEARCHABLE]
    status = load_or_report("query server", lambda: api().status())
    for source in status.sources if status is not None else ():
        if source.name == name:
            show_source(source)
            outcome(source)
    if not ready:
        st.caption(t("Waiting for the first document …"))
        return
    st.success(t("The first documents can be asked about now."), icon=":material/forum:")
    for row in ready[:3]:
        st.text(row.title or row.locator)
    if st.button(t("Ask about this source"), type="primary", icon=":material/forum:"):
        st.switch_page("screens/ask.py", query_params={"source": name})
