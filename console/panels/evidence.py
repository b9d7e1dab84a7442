"""A span shown in its document, and the judgement of an answer."""

from __future__ import annotations

import streamlit as st

from console.clients import ServiceError
from console.session import api, t
from console.ui import look, problem
from console.views.records import around
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2


def span(doc_id: str, start: int, end: int) -> None:
    """A span with its surroundings, all as text."""
    found = look("query server", lambda: api().inspect(doc_id))
    if found is None:
        return
    if found.text_withheld:
        st.info(t("You may not see the text: its ACL does not admit you."), icon=":material/lock:")
        return
    before, inside, after = around(found.text, start, end)
    st.text(before)
    with st.container(border=True):
        st.text(inside)
    st.text(after)


@st.fragment
def judge(question: str, text: str, final: query_pb2.AnswerFinal) -> None:
    """Thumbs, kept as candidates for the golden set."""
    with st.form("judge", border=True):
        good = st.feedback("thumbs", key="thumbs")
        comment = st.text_input(t("What should it have said? (optional)"), max_chars=2000)
        if not st.form_submit_button(t("Keep for the golden set")) or good is None:
            return
    spans = [
        ops.CitedSpan(doc_id=item.doc_id, version=item.version, start=item.start, end=item.end)
        for item in final.answered.citations
    ]
    try:
        api().rate(
            ops.RateAnswerRequest(
                question=question, answer=text, good=bool(good), comment=comment, generation=final.generation,
                citations=spans,
            )
        )  # fmt: skip
    except ServiceError as error:
        problem("query server", error)
    else:
        st.success(t("Kept. It is on the page Quality, under Judged answers."))
