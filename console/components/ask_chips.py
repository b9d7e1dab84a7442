"""Filters that a question named: offered under its answer, and shown as chips that can be removed while they apply."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from console.components.widgets import plain_markdown
from console.session import t
from ragproto.query.v2 import query_pb2

_CHIPS = "ask-chips"
_AGAIN = "ask-again"
"""The question that is asked again after a chip was added or removed."""


def filters() -> list[query_pb2.Filter]:
    """The filters of the chips that apply."""
    return [one.filter for one in _chips().values()]


def chips(question: str) -> None:
    """The filters that apply, each with a cross that removes it and asks again."""
    with st.container(horizontal=True):
        for key, one in _chips().items():
            st.button(_label(one), key=f"chip-{key}", icon=":material/close:", on_click=_remove, args=(key, question),
                      help=t("Removes this filter and asks again."))  # fmt: skip


def suggestions(found: Iterable[query_pb2.SuggestedFilter], question: str, *, key: str) -> None:
    """Filters that the words of a question name. None applies until it is chosen."""
    offered = [one for one in found if _key(one) not in _chips()]
    if not offered:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(t("Search only there?"), width="content")
        for number, one in enumerate(offered):
            said = t("You wrote “{words}”.", words=plain_markdown(one.words))
            st.button(_label(one), key=f"suggest-{key}-{number}", icon=":material/filter_alt:", on_click=_add,
                      args=(one, question), help=said)  # fmt: skip


def asked_again() -> str:
    """The question to ask again, once."""
    return str(st.session_state.pop(_AGAIN, ""))


def _chips() -> dict[str, query_pb2.SuggestedFilter]:
    found: dict[str, query_pb2.SuggestedFilter] = st.session_state.setdefault(_CHIPS, {})
    return found


def _key(one: query_pb2.SuggestedFilter) -> str:
    return f"{one.field}={one.value}"


def _label(one: query_pb2.SuggestedFilter) -> str:
    names = {"source": t("source"), "updated_at": t("changed")}
    return plain_markdown(f"{names.get(one.field, one.field.removeprefix('metadata.'))}: {one.value}")


def _add(one: query_pb2.SuggestedFilter, question: str) -> None:
    _chips()[_key(one)] = one
    st.session_state[_AGAIN] = question


def _remove(key: str, question: str) -> None:
    _chips().pop(key, None)
    st.session_state[_AGAIN] = question
