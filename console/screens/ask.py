"""Ask: a playground for search and answers as a client gets them, with every setting and the reasons of each place."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from console.clients.errors import ServiceError
from console.clients.grpc_api import Api
from console.components import ask_as, ask_settings, conversation
from console.components.answers import answer_body, rating_buttons, span, writing
from console.components.golden import save_question
from console.components.passages import compare, passages
from console.components.widgets import problem, trace_link
from console.presenters import answers as presenters
from console.presenters.formats import plain
from console.session import api, shared, t
from ragproto.query.v2 import query_pb2

MAX_QUESTION_CHARS = 8192


@dataclass(frozen=True, slots=True)
class Asked:
    """A submission: Answer, Search, Compare or As, the requests of the settings, and as whom."""

    kind: str
    search: query_pb2.SearchRequest
    other: query_pb2.SearchRequest
    answer: query_pb2.AnswerRequest
    person: ask_as.Person | None


def form() -> Asked | None:
    """The question and its settings; None until one was submitted."""
    with st.form("question", border=False):
        text = st.text_area(t("Question"), max_chars=MAX_QUESTION_CHARS, height=80, key="question-text")
        narrowed = ask_settings.narrowing()
        first, second = ask_settings.settings()
        person = ask_as.person()
        follow_up = conversation.controls()
        with st.container(horizontal=True):
            if st.form_submit_button(t("Answer"), type="primary"):
                st.session_state["asked"] = "Answer"
                conversation.start_turn(follow_up=follow_up)
            if st.form_submit_button(t("Search only")):
                st.session_state["asked"] = "Search"
            if st.form_submit_button(t("Compare two settings")):
                st.session_state["asked"] = "Compare"
            if person is not None and st.form_submit_button(t("Search as somebody else")):
                st.session_state["asked"] = "As"
    kind = st.session_state.get("asked")
    if kind is None:
        return None
    if not text.strip():
        st.info(t("Enter a question first."))
        return None
    search, other = (
        query_pb2.SearchRequest(query=text, filter=narrowed, explain=True, highlight=True, **settings.fields())
        for settings in (first, second)
    )
    earlier = conversation.messages()
    answer = query_pb2.AnswerRequest(query=text, filter=narrowed, messages=earlier, **first.fields())
    return Asked(kind, search, other, answer, person)


def answer(asking: Api, request: query_pb2.AnswerRequest, search: query_pb2.SearchRequest) -> None:
    """The answer as it is written; it is kept, so that looking at a citation does not ask again."""
    key = request.SerializeToString(deterministic=True)
    kept = st.session_state.get("answer")
    if kept is None or kept[0] != key:
        place, parts, final = st.empty(), [], query_pb2.AnswerFinal()
        shown = query_pb2.AnswerRequest()
        shown.CopyFrom(request)
        shown.progress = True
        for event in asking.answer(shown):
            if event.HasField("final"):
                final = event.final
            elif event.HasField("writing"):
                with place.container():
                    writing(event.writing)
            else:
                parts.append(event.delta.text)
                place.text(plain("".join(parts)))
        place.empty()
        kept = st.session_state["answer"] = (key, "".join(parts), final, asking.trace_id)
        conversation.remember(
            request.query, kept[1] if final.HasField("answered") else "", final.answered_by.fallback_reason
        )
    _, text, final, trace_id = kept
    sentence, code = presenters.outcome(final)
    conversation.history()
    conversation.notes(final)
    if sentence:
        st.info(t(sentence, code=code))  # text of an answer that broke off must not be used
        if request.HasField("filter"):
            st.caption(t("Only what the fields above let through was searched. Clear them to search everything."))
    else:
        answer_body(text, final)
        for item in presenters.citations(final):
            citation(item)
    st.caption(t("Generation {name}", name=final.generation))
    trace_link(trace_id)
    if author := conversation.author(final):
        st.caption(author)
    if st.toggle(t("Show the passages that were found, and why"), key="answer-passages"):
        asked = query_pb2.SearchRequest()
        asked.CopyFrom(search)
        asked.query = final.standalone_question or search.query
        passages(asked, api().search(asked))
    save_question(request.query, presenters.citations(final))
    rating_buttons(request.query, "" if sentence else text, final)


def citation(item: query_pb2.Citation) -> None:
    """A citation; opening it shows the span in its document."""
    st.text(presenters.citation_text(item, t))
    if st.toggle(t("Show [{number}] in the document", number=item.number), key=f"cite-{item.number}"):
        span(item.doc_id, item.start, item.end)


def copies(kind: str, request: query_pb2.SearchRequest | query_pb2.AnswerRequest) -> None:
    """The same request for other clients."""
    gateway = shared().settings.gateway_url
    with st.expander(t("Copy as curl, grpcurl or Python"), icon=":material/content_copy:"):
        st.code(presenters.as_curl(gateway, f"/api/v2/{kind.lower()}", request), language="bash", wrap_lines=True)
        st.code(presenters.as_grpcurl(gateway, kind, request), language="bash", wrap_lines=True)
        st.code(presenters.as_python(gateway, kind, request), language="python", wrap_lines=True)


st.title(t("Ask"))
asked = form()
if asked is not None:
    asking = api()
    try:
        if asked.kind == "Answer":
            answer(asking, asked.answer, asked.search)
        elif asked.kind == "Search":
            found = asking.search(asked.search)
            passages(asked.search, found)
            trace_link(asking.trace_id)
            save_question(asked.search.query, found.passages[:1])
        elif asked.kind == "As" and asked.person is not None:
            ask_as.search(asked.person, asked.search)
        else:
            compare(asked.search, asked.other)
    except ServiceError as failure:
        problem("gateway", failure)
        if asked.kind in {"Answer", "Search"}:
            trace_link(asking.trace_id)
    copies("Answer" if asked.kind == "Answer" else "Search", asked.answer if asked.kind == "Answer" else asked.search)
