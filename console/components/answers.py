"""An answer, a span in its document, and the rating of an answer."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import load_or_report, plain_markdown, problem
from console.presenters import answers as presenters
from console.presenters.formats import plain
from console.presenters.markdown import CodeBlock, TableBlock, TextBlock, blocks
from console.presenters.records import around
from console.session import api, t
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2

# --------------------------------------------------------------------------------------------------------------------
# A span shown in its document, and the rating of an answer.


def span(doc_id: str, start: int, end: int) -> None:
    """A span with its surroundings, all as text."""
    found = load_or_report("query server", lambda: api().inspect(doc_id))
    if found is None:
        return
    if found.text_withheld:
        st.info(t("You may not read the text: the document's ACL excludes you."), icon=":material/lock:")
        return
    before, inside, after = around(found.text, start, end)
    st.text(before)
    with st.container(border=True):
        st.text(inside)
    st.text(after)


def answer_body(text: str, final: query_pb2.AnswerFinal) -> None:
    """The answer or the closest passages, each excerpt below its headings; plain text without Markdown."""
    if presenters.is_closest(final):
        st.info(t("It is not certain that the sources answer this question. These passages come closest."))
    if final.read_as:
        st.text(t("Read as: {question}", question=plain(final.read_as)))
    _excerpts(final.excerpts)
    if not final.excerpts and final.answer_markdown:
        markdown_body(final.answer_markdown)
    elif not final.excerpts:
        st.text(plain(text))


def writing(event: query_pb2.AnswerWriting) -> None:
    """Show that a model is writing, and the quotes that there are meanwhile."""
    st.text(t("{model} is writing …", model=plain(event.model)))
    if event.excerpts:
        st.caption(t("Until then, from the sources:"))
    _excerpts(event.excerpts)


def _excerpts(excerpts: Iterable[query_pb2.Excerpt]) -> None:
    for excerpt in excerpts:
        with st.container(border=True):
            st.text(presenters.with_page(presenters.heading(excerpt), excerpt, t))
            markdown_body(excerpt.markdown or excerpt.text)


def markdown_body(markdown: str) -> None:
    """Markdown of documents as text, code and tables."""
    for block in blocks(markdown):
        match block:
            case TextBlock(text):
                st.text(text)
            case CodeBlock(text, language):
                st.code(text, language=language or None, wrap_lines=True)
            case TableBlock([header, *rows]):
                # A canvas would cut long cells. Columns are told apart by their names; further spaces are not shown.
                names = [plain_markdown(name) + " " * column for column, name in enumerate(header)]
                cells = [dict(zip(names, map(plain_markdown, row), strict=True)) for row in rows]
                st.table(cells, hide_index=True, hide_header=not any(header))


@st.fragment
def rating_buttons(question: str, text: str, final: query_pb2.AnswerFinal) -> None:
    """Thumbs, why, and the right document: what a user says of an answer proposes its question for evaluation."""
    places = _places()
    with st.form("judge", border=True):
        good = st.feedback("thumbs", key="thumbs")
        comment = st.text_input(t("What should it have said? (optional)"), max_chars=2000)
        right = ""
        if places:
            names = {"": t("not known"), **places}
            right = st.selectbox(t("The document that has the answer"), list(names), format_func=names.__getitem__)
        if not st.form_submit_button(t("Send")):
            return
    if good is None:
        st.warning(t("Choose thumbs up or thumbs down first; nothing was saved."))
        return
    spans = [
        ops.CitedSpan(doc_id=item.doc_id, version=item.version, start=item.start, end=item.end)
        for item in presenters.citations(final)
    ]
    try:
        api().rate(
            ops.RateAnswerRequest(
                question=question, answer=text, good=bool(good), comment=comment, generation=final.generation,
                citations=spans, right_doc_id=right,
            )
        )  # fmt: skip
    except ServiceError as error:
        problem("query server", error)
    else:
        st.success(t("Saved. Its question waits on the page Evaluation until somebody accepts it."))


def _places() -> dict[str, str]:
    """Documents by id whose name has what was typed."""
    wanted = st.text_input(
        t("Which document has the answer? Part of its name (optional)"), max_chars=200, key="right-document"
    ).strip()
    found = load_or_report("query server", lambda: api().find(wanted, limit=20)) if wanted else None
    return {item.doc_id: plain(f"{item.source}: {item.locator}") for item in found or []}
