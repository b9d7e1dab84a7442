"""Ask: search and streamed answers as a client gets them, with score parts and citations."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.components import conversation
from console.components.answers import answer_body, compare, rating_buttons, span
from console.components.widgets import chosen_row, load_or_report, problem, table
from console.presenters import answers as views
from console.presenters.formats import plain
from console.session import api, shared, t
from ragproto.query.v2 import query_pb2

MAX_QUESTION_CHARS = 8192
MODES = {
    "hybrid": query_pb2.SEARCH_MODE_HYBRID,
    "dense": query_pb2.SEARCH_MODE_DENSE,
    "lexical": query_pb2.SEARCH_MODE_LEXICAL,
}


def form() -> tuple[str, query_pb2.SearchRequest, query_pb2.AnswerRequest] | None:
    """The question and its options; None until one was submitted."""
    names = [item.name for item in load_or_report("query server", lambda: api().sources()) or []]
    with st.form("question", border=False):
        text = st.text_area(t("Question"), max_chars=MAX_QUESTION_CHARS, height=80, key="question-text")
        left, middle, right = st.columns(3)
        sources = left.multiselect(t("Only these sources"), names, placeholder=t("all"))
        languages = {"": t("all"), "en": "English", "zh": "中文"}
        modes = {name: t(name) for name in MODES}
        language = middle.selectbox(t("Only this language"), list(languages), format_func=languages.__getitem__)
        mode = middle.selectbox(t("Search mode"), list(modes), format_func=modes.__getitem__)
        top_k = right.slider(t("Passages to use"), 1, 50, 10)
        follow_up = conversation.controls()
        with st.container(horizontal=True):
            if st.form_submit_button(t("Answer"), type="primary"):
                st.session_state["asked"] = "Answer"
                conversation.start_turn(follow_up=follow_up)
            if st.form_submit_button(t("Search only")):
                st.session_state["asked"] = "Search"
            if st.form_submit_button(t("Compare two generations")):
                st.session_state["asked"] = "Compare"
    kind = st.session_state.get("asked")
    if kind is None:
        return None
    if not text.strip():
        st.info(t("Enter a question first."))
        return None
    narrowed = views.source_filter(sources, language)
    search = query_pb2.SearchRequest(query=text, top_k=top_k, mode=MODES[mode], filter=narrowed)
    earlier = conversation.messages()
    return kind, search, query_pb2.AnswerRequest(query=text, top_k=top_k, filter=narrowed, messages=earlier)


def answer(request: query_pb2.AnswerRequest) -> None:
    """The answer as it is written; it is kept, so that looking at a citation does not ask again."""
    key = request.SerializeToString(deterministic=True)
    kept = st.session_state.get("answer")
    if kept is None or kept[0] != key:
        place, parts, final = st.empty(), [], query_pb2.AnswerFinal()
        for event in api().answer(request):
            if event.HasField("final"):
                final = event.final
            else:
                parts.append(event.delta.text)
                place.text(plain("".join(parts)))
        place.empty()
        kept = st.session_state["answer"] = (key, "".join(parts), final)
        conversation.remember(request.query, kept[1] if final.HasField("answered") else "")
    _, text, final = kept
    sentence, code = views.outcome(final)
    conversation.history()
    conversation.notes(final)
    if sentence:
        st.info(t(sentence, code=code))  # text of an answer that broke off must not be used
    else:
        answer_body(text, final)
        for item in views.citations(final):
            citation(item)
    st.caption(t("Generation {name}", name=final.generation))
    if author := conversation.author(final):
        st.caption(author)
    rating_buttons(request.query, "" if sentence else text, final)


def citation(item: query_pb2.Citation) -> None:
    """A citation; opening it shows the span in its document."""
    st.text(views.citation_text(item, t(views.PLACE)))
    if st.toggle(t("Show [{number}] in the document", number=item.number), key=f"cite-{item.number}"):
        span(item.doc_id, item.start, item.end)


def search(request: query_pb2.SearchRequest) -> None:
    """Passages with their scores; one can be opened in its document."""
    found = api().search(request)
    rows = views.passage_rows(found.passages)
    columns = {"rank": "#", "title": t("Title"), "source": t("Source"), "score": t("Score"), "dense": t("dense"),
               "lexical": t("lexical"), "text": t("Passage")}  # fmt: skip
    event = table(rows, columns, empty=t("No document that you may read matches this question."), on_select="rerun",
                  selection_mode="single-row", key="passages")  # fmt: skip
    st.caption(t("Generation {name}", name=found.generation))
    picked = chosen_row(event)
    if picked is not None and picked < len(rows):
        span(rows[picked]["doc_id"], rows[picked]["start"], rows[picked]["end"])


def copies(kind: str, request: query_pb2.SearchRequest | query_pb2.AnswerRequest) -> None:
    """The same request for other clients."""
    gateway = shared().settings.gateway_url
    with st.expander(t("Copy as curl, grpcurl or Python"), icon=":material/content_copy:"):
        st.code(views.as_curl(gateway, f"/api/v2/{kind.lower()}", request), language="bash", wrap_lines=True)
        st.code(views.as_grpcurl(gateway, kind, request), language="bash", wrap_lines=True)
        st.code(views.as_python(gateway, kind, request), language="python", wrap_lines=True)


st.title(t("Ask"))
asked = form()
if asked is not None and asked[0] == "Compare":
    compare(asked[1])
elif asked is not None:
    try:
        if asked[0] == "Answer":
            answer(asked[2])
        else:
            search(asked[1])
    except ServiceError as failure:
        problem("gateway", failure)
    copies(asked[0], asked[2] if asked[0] == "Answer" else asked[1])
