"""The settings of a question on the Ask page, behind one button: what is searched, how, as whom, and what is shown."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from console.clients.errors import ServiceError
from console.components import ask_as, ask_chips
from console.presenters import retrieval as presenters
from console.presenters.retrieval import RetrievalSettings
from console.session import api, t
from ragproto.query.v2 import query_pb2

ANSWER, SEARCH, COMPARE, AS = "Answer", "Search only", "Compare two settings", "Search as somebody else"
_PRESET: dict[str, object] = {
    "ask-kind": ANSWER, "ask-sources": [], "ask-language": "", "ask-since": None, "ask-metadata": "",
    "ask-mode": "hybrid", "ask-words": presenters.AUTOMATIC, "ask-generation": "", "ask-rerank": "default",
    "ask-top-k": 10, "as-subject": "", "as-groups": "",
}  # fmt: skip
"""The settings that the button counts, as they are when nothing is set."""


@dataclass(frozen=True, slots=True)
class AskSettings:
    """The use of a question: one of the four kinds, the filter, the settings (and those compared), as whom."""

    kind: str
    narrowed: query_pb2.Filter | None
    first: RetrievalSettings
    second: RetrievalSettings
    person: ask_as.SearchPerson | None

    def search(self, text: str, settings: RetrievalSettings | None = None) -> query_pb2.SearchRequest:
        """The search of a question."""
        fields = (settings or self.first).fields()
        return query_pb2.SearchRequest(query=text, filter=self.narrowed, explain=True, highlight=True, **fields)

    def answer(self, text: str, earlier: list[query_pb2.Message]) -> query_pb2.AnswerRequest:
        """The question, with what came before it."""
        return query_pb2.AnswerRequest(query=text, filter=self.narrowed, messages=earlier, **self.first.fields())


def ask_settings() -> AskSettings:
    """One button, which says how many settings are not as they were, and the widgets behind it."""
    names = source_names()
    asked = st.query_params.get("source", "")  # other pages lead here with a source
    if asked in names and "ask-sources" not in st.session_state:
        st.session_state["ask-sources"] = [asked]
    others = {
        key: st.session_state[key] for key, preset in _PRESET.items() if st.session_state.get(key, preset) != preset
    }
    # A value that was set before the closed popover drew its widget reaches the browser only if it is set again.
    st.session_state.update(others)
    count = len(others)
    label = t("Settings · {count} set", count=count) if count else t("Settings")
    with st.popover(label, icon=":material/tune:", key="ask-settings", width="content"):
        kinds = {name: t(name) for name in (ANSWER, SEARCH, COMPARE, *([AS] if ask_as.may() else []))}
        kind = st.radio(
            t("What a question does"), list(kinds), format_func=kinds.__getitem__, key="ask-kind", horizontal=True
        )
        own = narrowing(names)
        narrowed = presenters.together([*([own] if own is not None else []), *ask_chips.filters()])
        first, second = retrieval_settings(compares=kind == COMPARE)
        return AskSettings(kind, narrowed, first, second, ask_as.person() if kind == AS else None)


def source_names() -> list[str]:
    """The sources that this person can ask."""
    try:
        return [item.name for item in api().askable()]
    except ServiceError:
        return []


def narrowing(names: list[str]) -> query_pb2.Filter | None:
    """Widgets for which documents are searched; the filter."""
    left, right = st.columns(2)
    sources = left.multiselect(t("Only these sources"), names, placeholder=t("all"), key="ask-sources")
    languages = {"": t("all"), "en": "English", "zh": "中文"}
    language = right.selectbox(
        t("Only this language"), list(languages), format_func=languages.__getitem__, key="ask-language"
    )
    since = left.date_input(t("Changed since"), value=None, format="YYYY-MM-DD", key="ask-since")
    metadata = right.text_input(
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


def retrieval_settings(*, compares: bool) -> tuple[RetrievalSettings, RetrievalSettings]:
    """The settings of the question, and those that it is compared with."""
    names = generations()
    ready = next((name for name, state in names.items() if state != "active"), "")
    with st.expander(t("How it is searched"), icon=":material/tune:", expanded=compares):
        first = retrieval("ask", names)
    if not compares:
        return first, first
    with st.expander(t("Compared with"), icon=":material/compare_arrows:", expanded=True):
        # Something differs at first.
        return first, retrieval("other", names, ready, "hybrid" if ready else "dense")
