"""The conversation on the Ask page: kept in the session of the browser, sent with each question that continues it."""

from __future__ import annotations

import streamlit as st

from console.components.passages import rerank_skipped
from console.presenters.formats import plain
from console.session import t
from ragproto.query.v2 import query_pb2

MAX_TURNS = 8
MAX_CHARS = 3000
"""Characters of a question or an answer that are sent again."""
_TURNS, _EARLIER = "conversation-turns", "conversation-earlier"
_FALLBACKS = "conversation-fallbacks"
"""Why quotes came instead of a model's words: in the answer before this one, and in this one."""

Turn = tuple[str, str]


def controls() -> bool:
    """Within the form: whether the question continues the conversation. Nothing before the first answer."""
    turns: list[Turn] = st.session_state.get(_TURNS, [])
    label = t("Continue the conversation (questions so far: {count})", count=len(turns))
    return bool(turns) and st.checkbox(label, value=True, key="conversation-goes-on")


def start_turn(*, follow_up: bool) -> None:
    """A question was submitted. What came before it stays fixed, however often the page is drawn again.

    The answer that is kept goes: the same question asked again may have another one now.
    """
    st.session_state.pop("answer", None)
    turns: list[Turn] = st.session_state.get(_TURNS, [])
    st.session_state[_EARLIER] = list(turns) if follow_up else []
    if not follow_up:
        st.session_state.pop(_FALLBACKS, None)


def messages() -> list[query_pb2.Message]:
    """Return the messages of the conversation that the question brings with it."""
    found = []
    for question, answer in st.session_state.get(_EARLIER, []):
        found.append(query_pb2.Message(role="user", text=question))
        if answer:
            found.append(query_pb2.Message(role="assistant", text=answer))
    return found


def remember(question: str, answer: str, fallback: str = "") -> None:
    """Add an answer that has just come; empty for none. `fallback` is why it is not by the model."""
    st.session_state[_FALLBACKS] = (st.session_state.get(_FALLBACKS, ("", ""))[1], fallback)
    turn = (question[:MAX_CHARS], answer[:MAX_CHARS])
    st.session_state[_TURNS] = [*st.session_state.get(_EARLIER, []), turn][-MAX_TURNS:]


def history() -> None:
    """The earlier turns, as text."""
    earlier: list[Turn] = st.session_state.get(_EARLIER, [])
    if not earlier:
        return
    with st.expander(t("Earlier in this conversation"), icon=":material/forum:"):
        for question, answer in earlier:
            st.text(f"> {plain(question)}")
            st.text(plain(answer) if answer else t("There is no answer to this question."))


def notes(final: query_pb2.AnswerFinal) -> None:
    """Show how the question was understood, and who answered it when that was not who should have."""
    if final.standalone_question:
        st.text(t("Understood as: {question}", question=plain(final.standalone_question)))
    before, _ = st.session_state.get(_FALLBACKS, ("", ""))
    if final.answered_by.fallback_reason not in ("", before):  # once in a conversation
        code = final.answered_by.fallback_reason
        if code == "EGRESS_FORBIDDEN":
            st.info(t("The egress policy keeps this from the answer model. These are quotes of the sources."))
        else:
            st.info(t("The answer model failed ({code}). These are quotes of the sources.", code=code))
    if final.rerank_skipped:
        rerank_skipped(final.rerank_skipped)


def author(final: query_pb2.AnswerFinal) -> str:
    """A sentence on the model that wrote an answer; empty for quotes."""
    if not final.answered_by.model:
        return ""
    usage = final.usage
    tokens = f"{usage.prompt_tokens} + {usage.completion_tokens}" if usage.HasField("prompt_tokens") else "?"
    cost = f", {usage.cost:.4g} {usage.currency}" if usage.HasField("cost") else ""
    return t(
        "Written by {model}, {tokens} tokens{cost}", model=plain(final.answered_by.model), tokens=tokens, cost=cost
    )
