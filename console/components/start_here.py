"""The card that a new installation opens on: what this is, a question, and the first steps."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.clients.grpc_api import Api
from console.components.page_switch import PAGES
from console.components.request_copies import calls
from console.components.widgets import at
from console.presenters import first_steps as presenters
from console.presenters.conditions import marked
from console.presenters.formats import number, plain
from console.session import ahead, api, shared, t
from ragproto.query.v2 import query_pb2

_REFRESH = shared().settings.refresh_seconds


def start_here() -> None:
    """The card, until the first source of the owner is searchable."""
    try:
        status = ahead(api, Api.status)()
    except ServiceError:
        return  # the page below says so
    if not presenters.is_new(status.sources):
        return
    pages = st.session_state.get(PAGES, set())
    with st.container(border=True, key="start-here"):
        st.header(t("Start here"), anchor=False)
        st.text(t("Your documents become answers that cite their sources, true now, from what each reader may see."))
        if "ask" in pages:
            _question()
        with st.container(horizontal=True):
            if "add_source" in pages:
                st.page_link("screens/add_source.py", label=t("Add your documents"), icon=":material/add:")
            st.page_link("screens/sources.py", label=t("Sources"), icon=":material/folder_open:")
        with st.expander(t("Call it from your code"), icon=":material/code:"):
            calls("Answer", query_pb2.AnswerRequest(query=t("What is this platform?")))
        _progress()


def _question() -> None:
    with st.form("start-here-question", border=False):
        left, right = st.columns([5, 1], vertical_alignment="bottom")
        question = left.text_input(t("Ask a question"), max_chars=8192, placeholder=t("What do you want to know?"))
        if right.form_submit_button(t("Ask"), type="primary", width="stretch") and question.strip():
            st.switch_page("screens/ask.py", query_params={"q": question.strip()})


@st.fragment(run_every=_REFRESH)
def _progress() -> None:
    """Show how far the first sources are; the page is drawn again without the card once one is searchable."""
    try:
        sources = api().status().sources
    except ServiceError:
        return
    if not presenters.is_new(sources):
        st.rerun()
    for source, share in presenters.under_way(sources):
        said = t("{name}: {condition}", name=source.name, condition=marked(source.condition, t, at))
        if share is None:
            st.text(plain(said))
        else:
            st.progress(share, plain(said))
    found = sum(source.searchable for source in sources)
    if found:
        st.caption(t("{count} documents can be asked already.", count=number(found)))
    elif not sources:
        st.caption(t("There is no document yet: add a folder, a website, a database or some files."))
