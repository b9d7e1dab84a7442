"""An answer as a card: its passages with marked sentences and linked sources, thumbs, and the rest folded."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from console.components import conversation
from console.components.answers import cited_place, excerpt_body, original, rating_buttons
from console.components.ask_chips import suggestions
from console.components.golden import save_question
from console.components.passages import passages
from console.components.request_copies import copies
from console.components.widgets import load_or_report, trace_link
from console.conversations import Turn
from console.presenters import answers as presenters
from console.presenters.formats import plain
from console.session import api, t
from ragproto.query.v2 import query_pb2

ASKS, ANSWERS = ":material/person:", ":material/forum:"
_PANEL_HEIGHT = 720
_OPEN = "ask-open-citation"
"""Turn and number of the citation that is open beside the answer."""


def earlier_turn(turn: Turn) -> None:
    """A question of before and the text of its answer."""
    _question(turn)
    with st.chat_message(t("Answer"), avatar=ANSWERS):
        sentence, code = presenters.outcome(turn.final)
        if sentence:
            st.text(t(sentence, code=code))
            return
        cited = presenters.citations(turn.final)
        if turn.final.excerpts:
            st.text(plain(presenters.shown_text(turn.text, turn.final)))
        else:
            excerpt_body(_written(turn), (), key=f"earlier-{turn.number}", on_cited=_opener(turn))
        st.text(plain(", ".join(f"[{item.number}] {item.title or item.locator}" for item in cited)))


def answer_card(turn: Turn) -> None:
    """The last question with its answer; the document of an open citation stands beside it."""
    _question(turn)
    opened = _opened(turn)
    with st.chat_message(t("Answer"), avatar=ANSWERS):
        if opened is None:
            _answer(turn)
        else:
            left, right = st.columns(2, gap="medium")
            with left:
                _answer(turn)
            with right:
                _document(turn, opened)


def _question(turn: Turn) -> None:
    with st.chat_message(t("You"), avatar=ASKS):
        st.text(plain(turn.request.query))


def _answer(turn: Turn) -> None:
    final = turn.final
    sentence, code = presenters.outcome(final)
    conversation.notes(final)
    with st.container(key=f"answer-{turn.number}"):
        if sentence:
            st.text(t(sentence, code=code))  # text of an answer that broke off must not be used
            if turn.request.HasField("filter"):
                st.caption(t("Only what the settings let through was searched. Clear them to search everything."))
        else:
            _body(turn)
    suggestions(final.suggested_filters, turn.request.query, key=str(turn.number))
    rating_buttons(turn.request.query, "" if sentence else turn.text, final, key=f"thumbs-{turn.number}")
    _details(turn)


def _body(turn: Turn) -> None:
    final = turn.final
    closest = presenters.is_closest(final)
    st.header(t("Best matches") if closest else t("Answer"), anchor=False)
    if final.read_as:
        st.text(t("Read as: {question}", question=plain(final.read_as)))
    shown = [item for item in final.excerpts if not item.further]
    folded = [item for item in final.excerpts if item.further]
    if closest:
        shown, folded = shown[:1], [*shown[1:], *folded]
    for place, excerpt in enumerate(shown):
        _excerpt(turn, excerpt, f"{turn.number}-{place}")
    if not final.excerpts:
        excerpt_body(_written(turn), presenters.citations(final), key=f"{turn.number}", on_cited=_opener(turn))
        for item in presenters.citations(final):
            _source(turn, [item.number], presenters.citation_title(item, t), f"{turn.number}")
    if folded:
        with st.expander(t("Other passages ({count})", count=len(folded))):
            for place, excerpt in enumerate(folded):
                _excerpt(turn, excerpt, f"{turn.number}-other-{place}")


def _written(turn: Turn) -> query_pb2.Excerpt:
    """The whole answer of a model or of an editor, which has no excerpts."""
    return query_pb2.Excerpt(markdown=turn.final.answer_markdown, text=turn.text)


def _excerpt(turn: Turn, excerpt: query_pb2.Excerpt, key: str) -> None:
    with st.container(border=True):
        excerpt_body(excerpt, presenters.citations(turn.final), key=key, on_cited=_opener(turn))
        heading = presenters.with_page(presenters.heading(excerpt), excerpt, t)
        _source(turn, list(excerpt.citations), heading, key)


def _source(turn: Turn, numbers: list[int], title: str, key: str) -> None:
    """Show which sources of how many these are, their titles, and a button that opens each."""
    count = len(presenters.citations(turn.final))
    for number in numbers:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(t("Source {number} of {count}", number=number, count=count), width="content")
            st.text(title, width="content")
            closes = st.session_state.get(_OPEN) == (turn.number, number)
            label = t("Close [{number}]", number=number) if closes else t("Open [{number}]", number=number)
            st.button(label, key=f"cite-{key}-{number}", type="tertiary", icon=":material/menu_book:",
                      on_click=_toggle, args=(turn.number, number))  # fmt: skip
    if not numbers:
        st.text(title)


def _toggle(turn: int, number: int) -> None:
    opened = st.session_state.get(_OPEN)
    st.session_state[_OPEN] = None if opened == (turn, number) else (turn, number)


def close_citation() -> None:
    """Show the next answer without a document beside it."""
    st.session_state.pop(_OPEN, None)


def _opener(turn: Turn) -> Callable[[int], None]:
    return lambda number: st.session_state.update({_OPEN: (turn.number, number)})


def _opened(turn: Turn) -> query_pb2.Citation | None:
    found = st.session_state.get(_OPEN)
    cited = presenters.citations(turn.final)
    return next((item for item in cited if found == (turn.number, item.number)), None)


def _document(turn: Turn, item: query_pb2.Citation) -> None:
    """The document at the span, with the text around it."""
    # With a height of its own: what is open would push the answer, and its own beginning, out of sight.
    with st.container(border=True, key="cited-document", height=_PANEL_HEIGHT):
        st.header(t("Source {number} of {count}", number=item.number, count=len(presenters.citations(turn.final))),
                  anchor=False)  # fmt: skip
        st.text(presenters.citation_title(item, t))
        original(item)
        cited_place(item)
        st.button(t("Close"), key="cite-close", on_click=_toggle, args=(turn.number, item.number))


def _details(turn: Turn) -> None:
    """Figures for those who want them, the passages that were found, and the same request for other clients."""
    final, request = turn.final, turn.request
    with st.expander(t("Details"), icon=":material/info:"):
        for item in presenters.citations(final):
            st.text(presenters.citation_text(item, t))
        st.caption(t("Generation {name}", name=final.generation))
        trace_link(turn.trace_id)
        if author := conversation.author(final):
            st.caption(author)
        st.page_link("screens/ask.py", label=t("Link to this question"), icon=":material/link:",
                     query_params={"q": request.query})  # fmt: skip
        if st.toggle(t("Show the passages that were found, and why"), key=f"found-{turn.number}"):
            asked = query_pb2.SearchRequest()
            asked.CopyFrom(turn.search)
            asked.query = final.standalone_question or request.query
            found = load_or_report("gateway", lambda: api().search(asked))
            if found is not None:
                passages(asked, found)
        save_question(request.query, presenters.citations(final))
        copies("Answer", request)
