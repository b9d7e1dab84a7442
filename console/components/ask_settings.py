"""The settings of a question on the Ask page, within its form: what is searched, how, and how else to compare."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import load_or_report
from console.presenters import retrieval as presenters
from console.presenters.retrieval import RetrievalSettings
from console.session import api, t
from ragproto.query.v2 import query_pb2


def narrowing() -> query_pb2.Filter | None:
    """Widgets for which documents are searched; the filter."""
    names = [item.name for item in load_or_report("query server", lambda: api().sources()) or []]
    left, middle, right, last = st.columns(4)
    asked = st.query_params.get("source", "")  # other pages lead here with a source
    chosen = [asked] if asked in names else []
    sources = left.multiselect(t("Only these sources"), names, chosen, placeholder=t("all"))
    languages = {"": t("all"), "en": "English", "zh": "中文"}
    language = middle.selectbox(t("Only this language"), list(languages), format_func=languages.__getitem__)
    since = right.date_input(t("Changed since"), value=None, format="YYYY-MM-DD")
    metadata = last.text_input(
        t("Metadata"), max_chars=500, placeholder=t("field=value"), help=t("A field that the sources declare."),
        key="ask-metadata",
    )  # fmt: skip
    if presenters.is_incomplete(metadata):
        st.warning(t("Write the condition on metadata as field=value; it was left out."))
    return presenters.narrowing(sources, language, since, metadata)


def generations() -> dict[str, str]:
    """Names of generations that can be searched, with their states, the active one first; empty when unknown."""
    try:
        status = api().status()
    except ServiceError:
        return {}
    states = {"active": 0, "ready": 1, "building": 2}
    found = sorted((item for item in status.generations if item.state in states), key=lambda item: states[item.state])
    return {item.name: item.state for item in found}


def retrieval(key: str, names: dict[str, str], other: str = "", mode: str = "hybrid") -> RetrievalSettings:
    """Widgets for how it is searched. `names` are the generations; `other` and `mode` are chosen at first."""
    modes = {name: t(text) for name, text in presenters.MODE_NAMES.items()}
    mode = st.selectbox(
        t("Search mode"), list(modes), index=list(modes).index(mode), format_func=modes.__getitem__, key=f"{key}-mode"
    )
    shares = {name: t("automatic") if name == presenters.AUTOMATIC else f"{name} %" for name in presenters.SHARES}
    words = st.select_slider(
        t("Weight of the words in a hybrid search"), list(shares), format_func=shares.__getitem__, key=f"{key}-words",
        help=t("Automatic: computed for each question from what the legs find. 0 %: only meaning counts, 100 %: only"
               " words."),
    )  # fmt: skip
    shown = {"": t("the active one"), **{name: f"{name} ({t(state)})" for name, state in names.items()}}
    generation = st.selectbox(
        t("Index generation"), list(shown), format_func=shown.__getitem__, key=f"{key}-generation",
        index=list(shown).index(other) if other in shown else 0,
    )  # fmt: skip
    left, right = st.columns(2)
    reranks = {name: t(text) for name, text in presenters.RERANK.items()}
    rerank = left.selectbox(t("Rerank"), list(reranks), format_func=reranks.__getitem__, key=f"{key}-rerank")
    top_k = right.number_input(t("Passages"), 1, 50, 10, key=f"{key}-top-k")
    return RetrievalSettings(mode, words, generation, rerank, int(top_k))


def settings() -> tuple[RetrievalSettings, RetrievalSettings]:
    """The settings of the question, and those that it is compared with."""
    names = generations()
    ready = next((name for name, state in names.items() if state != "active"), "")
    with st.expander(t("How it is searched"), icon=":material/tune:"):
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(f"**{t('Settings')}**")
            first = retrieval("ask", names)
        with right:
            st.markdown(f"**{t('Compared with')}**")
            second = retrieval("other", names, ready, "hybrid" if ready else "dense")  # so that something differs
    return first, second
