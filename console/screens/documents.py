"""Documents: find any of them, and see everything that is known of one."""

from __future__ import annotations

import streamlit as st

from console.components.document_actions import actions, neighbours, quarantine_actions
from console.components.document_details import details, fields, why
from console.components.document_list import CLOSED, ENTRY, filters, found_by_content, page
from console.components.quality import quarantined_input
from console.components.widgets import load_or_report
from console.presenters.formats import plain
from console.session import api, t
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops


def one(found: ops.InspectDocumentResponse, sources: dict[str, admin_pb2.SourceStatus]) -> None:
    """Everything about one document."""
    _heading()
    st.text(plain(found.document.title or found.document.locator))
    st.text(plain(found.document.locator))
    why(found)
    fields(found)
    source = sources.get(found.document.source)
    actions(found, source, _shards(source))
    details(found)
    neighbours(found.document.source)


def never_stored(number: int, sources: dict[str, admin_pb2.SourceStatus]) -> None:
    """An input that is in quarantine and was never stored: why, and what can be done."""
    _heading()
    entry = quarantined_input(number)
    if entry is None:
        return
    source = sources.get(entry.source)
    with st.container(horizontal=True):
        quarantine_actions(entry, _shards(source), streamed=source is None or source.streamed)
    neighbours(entry.source)


def _heading() -> None:
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(t("Document"), width="content")
        if st.button(t("Close"), icon=":material/close:", key="document-close"):
            _forget()
            st.rerun()


def _shards(source: admin_pb2.SourceStatus | None) -> int:
    if source is None or source.streamed:
        return 1
    known = {item.name: item.shards for item in load_or_report("query server", lambda: api().sources()) or []}
    return known.get(source.name, 1)


def _forget() -> None:
    for name in ("doc", "span", "page", ENTRY):
        if name in st.query_params:
            del st.query_params[name]
    st.session_state[CLOSED] = st.session_state.get(CLOSED, 0) + 1


st.title(t("Documents"))
status = load_or_report("query server", lambda: api().status())
known_sources = {item.name: item for item in status.sources} if status is not None else {}
way, place = filters(known_sources)
chosen = found_by_content(place) if way == "content" else page(place)
if chosen is not None and chosen != st.query_params.get("doc"):
    for name in ("span", "page"):
        if way == "name" and name in st.query_params:
            del st.query_params[name]
    st.query_params["doc"] = chosen
asked = chosen or st.query_params.get("doc", "")
if asked:
    opened = load_or_report("query server", lambda: api().inspect(asked))
    if opened is not None:
        one(opened, known_sources)
elif (number := st.query_params.get(ENTRY, "")).isdecimal():
    never_stored(int(number), known_sources)
