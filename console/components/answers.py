"""An answer, a span in its document, and the rating of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import streamlit as st

from console.clients.errors import ServiceError
from console.components.marked_text import marked_text
from console.components.page_image import page_image
from console.components.widgets import load_or_report, plain_markdown, problem
from console.presenters import answers as presenters
from console.presenters import cited_text
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


def cited_place(item: query_pb2.Citation) -> None:
    """Show the place of a citation: its page as a picture, or the rows of a sheet under their header; then the text."""
    if presenters.has_picture(item):
        page_image(item.doc_id, item.page, item.start, item.end, key=f"cited-{item.doc_id}-{item.start}")
    for table in presenters.cited_rows(item):
        code_or_table(table)
    span(item.doc_id, item.start, item.end)


def original(item: query_pb2.Citation) -> None:
    """Links to the document where it is at its source, and to all that the platform knows of it."""
    with st.container(horizontal=True):
        if address := presenters.original_address(item):
            st.link_button(t("Open the original"), address, icon=":material/open_in_new:", type="tertiary")
        if item.doc_id:
            place = presenters.document_place(item)
            st.page_link("screens/documents.py", label=t("Show the document"), icon=":material/description:",
                         query_params=place)  # fmt: skip


def writing(event: query_pb2.AnswerWriting) -> None:
    """Show that a model is writing, and the quotes that there are meanwhile."""
    st.text(t("{model} is writing …", model=plain(event.model)))
    if event.excerpts:
        st.caption(t("Until then, from the sources:"))
    for excerpt in event.excerpts:
        with st.container(border=True):
            st.text(presenters.with_page(presenters.heading(excerpt), excerpt, t))
            st.text(plain(excerpt.text))


def excerpt_body(
    excerpt: query_pb2.Excerpt, cited: Sequence[query_pb2.Citation], *, key: str, on_cited: Callable[[int], None]
) -> None:
    """An excerpt with its marked sentences and links at its markers; plain text without Markdown."""
    marked = cited_text.marked_lines(excerpt)
    links = {item.number: (_address(item), t("Source {number} of {count}", number=item.number, count=len(cited)))
             for item in cited}  # fmt: skip
    pending: list[list[cited_text.Part]] = []
    found = list(blocks(excerpt.markdown)) if excerpt.markdown else [TextBlock(plain(excerpt.text))]
    for number, block in enumerate(found):
        if isinstance(block, TextBlock):
            pending.append(cited_text.parts(block.text, marked, links))
        if pending and (not isinstance(block, TextBlock) or number == len(found) - 1):
            marked_text(pending, links, key=f"text-{key}-{number}", on_cited=on_cited)
            pending = []
        if not isinstance(block, TextBlock):
            code_or_table(block)


def _address(item: query_pb2.Citation) -> str:
    return f"/documents?{urlencode(presenters.document_place(item))}"


def code_or_table(block: CodeBlock | TableBlock) -> None:
    """Code and tables of documents, whose cells are text."""
    match block:
        case CodeBlock(text, language):
            st.code(text, language=language or None, wrap_lines=True)
        case TableBlock([header, *rows]):
            # A canvas would cut long cells. Columns are told apart by their names; further spaces are not shown.
            names = [plain_markdown(name) + " " * column for column, name in enumerate(header)]
            cells = [dict(zip(names, map(plain_markdown, row), strict=True)) for row in rows]
            st.table(cells, hide_index=True, hide_header=not any(header))


@st.fragment
def rating_buttons(question: str, text: str, final: query_pb2.AnswerFinal, *, key: str) -> None:
    """Thumbs; one that is chosen opens why, and the right document. A rating proposes its question for evaluation."""
    good = st.feedback("thumbs", key=key)
    if good is None:
        return
    places = {} if good else _places()
    with st.form(f"{key}-form", border=True):
        comment = st.text_input(t("What should it have said? (optional)"), max_chars=2000)
        right = ""
        if places:
            names = {"": t("not known"), **places}
            right = st.selectbox(t("The document that has the answer"), list(names), format_func=names.__getitem__)
        if not st.form_submit_button(t("Send")):
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
