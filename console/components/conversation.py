"""The conversation on the Ask page: its turns, and what a question brings with it."""

from __future__ import annotations

import streamlit as st

from console.components.passages import curated, rerank_skipped
from console.conversations import Person, Turn, bounded
from console.presenters.formats import plain
from console.session import identity, shared, t
from ragproto.query.v2 import query_pb2

MAX_SENT = 8
MAX_CHARS = 3000
"""Characters of a question or an answer that are sent again."""
_TURNS = "conversation-turns"


def turns() -> list[Turn]:
    """The conversation of this person, oldest first."""
    person = _person()
    return shared().conversations.of(person) if person else st.session_state.get(_TURNS, [])


def remember(turn: Turn) -> None:
    """Add an answer that has just come."""
    _keep([*turns(), turn])


def forget() -> None:
    """Delete the conversation."""
    _keep([])


def next_number() -> int:
    """Return the number of the next question; it is in the keys of its widgets."""
    return max((turn.number for turn in turns()), default=0) + 1


def _keep(found: list[Turn]) -> None:
    person = _person()
    if person:
        shared().conversations.put(person, found)
    else:
        st.session_state[_TURNS] = bounded(found)


def _person() -> Person | None:
    """Return whose conversation outlives the session; None where everybody acts with the same token."""
    who = identity()
    return (who.tenant, who.subject) if who.subject and shared().settings.sign_in != "none" else None


def messages() -> list[query_pb2.Message]:
    """Return the messages of the conversation that the next question brings with it."""
    found = []
    for turn in turns()[-MAX_SENT:]:
        found.append(query_pb2.Message(role="user", text=turn.request.query[:MAX_CHARS]))
        if turn.text and turn.final.HasField("answered"):
            found.append(query_pb2.Message(role="assistant", text=turn.text[:MAX_CHARS]))
    return found


def notes(final: query_pb2.AnswerFinal) -> None:
    """Show how the question was understood, and who answered it when that was not who should have."""
    if final.standalone_question:
        st.text(t("Understood as: {question}", question=plain(final.standalone_question)))
    earlier = [turn.final.answered_by.fallback_reason for turn in turns()[-2:-1]]
    if final.answered_by.fallback_reason not in ("", *earlier):  # once in a conversation
        code = final.answered_by.fallback_reason
        if code == "EGRESS_FORBIDDEN":
            st.info(t("The egress policy keeps this from the answer model. These are quotes of the sources."))
        elif code == "ANSWER_UNSUPPORTED":
            st.info(t("What the answer model wrote stands in no source. These are quotes of the sources."))
        else:
            st.info(t("The answer model failed ({code}). These are quotes of the sources.", code=code))
    curated(final.curations)
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
