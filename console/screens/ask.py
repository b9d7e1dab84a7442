"""Ask: a conversation with the documents; search, comparison and search as somebody else behind one button."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.components import ask_as, ask_chips, ask_settings, conversation
from console.components.answer_card import ANSWERS, ASKS, answer_card, close_citation, earlier_turn
from console.components.answers import writing
from console.components.ask_empty import start
from console.components.ask_settings import ANSWER, AS, SEARCH, AskSettings
from console.components.golden import save_question
from console.components.passages import compare, passages
from console.components.question_focus import focus_question
from console.components.request_copies import copies
from console.components.widgets import problem, trace_link
from console.conversations import Turn
from console.presenters.formats import plain
from console.session import api, t
from ragproto.query.v2 import query_pb2

MAX_QUESTION_CHARS = 8192
_SEARCHED, _LINKED = "ask-searched", "ask-linked"


def linked_question() -> str:
    """The question in the address of the page, once: `/ask?q=…`."""
    question = st.query_params.get("q", "").strip()[:MAX_QUESTION_CHARS]
    if not question or st.session_state.get(_LINKED) == question:
        return ""
    st.session_state[_LINKED] = question
    asked = conversation.turns()
    return "" if asked and asked[-1].request.query == question else question  # a reload does not ask again


def ask(question: str, settings: AskSettings) -> None:
    """The answer as it is written; it is kept, so that looking at it again does not ask again."""
    with st.chat_message(t("You"), avatar=ASKS):
        st.text(plain(question))
    request, asking = settings.answer(question, conversation.messages()), api()
    shown = query_pb2.AnswerRequest(progress=True)
    shown.MergeFrom(request)
    with st.chat_message(t("Answer"), avatar=ANSWERS):
        place, parts, final = st.empty(), [], query_pb2.AnswerFinal()
        place.caption(t("Looking in the documents …"))
        try:
            for event in asking.answer(shown):
                if event.HasField("final"):
                    final = event.final
                elif event.HasField("writing"):
                    with place.container():
                        writing(event.writing)
                else:
                    parts.append(event.delta.text)
                    place.text(plain("".join(parts)))
        finally:
            place.empty()  # text of an answer that broke off must not be used
    turn = Turn(conversation.next_number(), request, settings.search(question), "".join(parts), final,
                asking.trace_id)  # fmt: skip
    conversation.remember(turn)
    close_citation()
    st.rerun()


def search(question: str, settings: AskSettings) -> None:
    """The passages of a search, or of two."""
    request, asking = settings.search(question), api()
    if settings.kind == SEARCH:
        found = asking.search(request)
        trace_link(asking.trace_id)
        ask_chips.chips(question)
        passages(request, found)
        ask_chips.suggestions(found.suggested_filters, question, key="search")
        save_question(question, found.passages[:1])
    elif settings.kind == AS and settings.person is not None:
        ask_as.search(settings.person, request)
    else:
        compare(request, settings.search(question, settings.second))
    copies("Search", request)


def head() -> AskSettings:
    """The title with its two buttons."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(t("Ask"), width="stretch")
        settings = ask_settings.ask_settings()
        if conversation.turns():
            st.button(t("New conversation"), icon=":material/add_comment:", on_click=conversation.forget,
                      help=t("Deletes this conversation."))  # fmt: skip
    return settings


def page() -> None:
    """The conversation, then what was just asked."""
    settings = head()
    question = st.chat_input(t("Ask a question"), max_chars=MAX_QUESTION_CHARS, key="question") or linked_question()
    question = question or ask_chips.asked_again()
    turns = conversation.turns()
    focus_question(turns[-1].number if turns and not question else 0)
    answers = settings.kind == ANSWER
    if not answers:
        question = st.session_state[_SEARCHED] = question or st.session_state.get(_SEARCHED, "")
    if not turns and not question:
        question = start()
    if answers:
        for turn in turns if question else turns[:-1]:
            earlier_turn(turn)
        if turns and not question:
            ask_chips.chips(turns[-1].request.query)
            answer_card(turns[-1])
    if question.strip():
        try:
            (ask if answers else search)(question.strip(), settings)
        except ServiceError as failure:
            problem("gateway", failure)


page()
