"""The first run of a new source: start it, and follow it until its first document can be asked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components.sources import show_condition
from console.components.widgets import load_or_report, problem
from console.presenters.sources import key_of
from console.session import api, shared, t
from ragproto.admin.v1 import operations_pb2 as ops

_SECONDS = 2.0


@st.fragment(run_every=_SECONDS)
def first_run(draft: dict[str, Any]) -> None:
    """Reload the code location, start the run once, and show how far it is."""
    name = draft["name"]
    if draft["kind"] == "topic":
        draft["launched"] = ""  # the stream worker consumes it
    if "launched" in draft:
        _follow(name)
    elif not draft.get("drawn"):
        # The step before is still on the page until this run of the script ends, so the long part is for the next.
        draft["drawn"] = True
        st.caption(t("Loading the new source into Dagster …"))
    elif _launch(draft, name):
        _follow(name)


def _launch(draft: dict[str, Any], name: str) -> bool:
    key = key_of(name)
    try:
        with st.spinner(t("Loading the new source into Dagster …"), show_time=True):
            shared().dagster.reload()
        if not draft.get("recorded"):
            api().record("dagster.launch", f"{key}_sync", t("First run"), name)
            draft["recorded"] = True
        draft["launched"] = shared().dagster.launch(key)
    except ServiceError as error:
        problem("Dagster", error)
        return False
    return True


@st.fragment(run_every=_SECONDS)
def follow(name: str) -> None:
    """How far a source is, and the way to ask once its first document is searchable."""
    _follow(name)


def _follow(name: str) -> None:
    documents = load_or_report("query server", lambda: api().find("", source=name, limit=20)) or []
    ready = [row for row in documents if row.state == ops.DOCUMENT_STATE_SEARCHABLE]
    status = load_or_report("query server", lambda: api().status())
    for source in status.sources if status is not None else ():
        if source.name == name:
            show_condition(source.condition)
    if not ready:
        st.caption(t("Waiting for the first document …"))
        return
    st.success(t("The first documents can be asked about now."), icon=":material/forum:")
    for row in ready[:3]:
        st.text(row.title or row.locator)
    if st.button(t("Ask about this source"), type="primary", icon=":material/forum:"):
        st.switch_page("screens/ask.py")
