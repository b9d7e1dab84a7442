"""The Ask page before the first question: three examples from the corpus, and what can be asked."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from console.clients.errors import ServiceError
from console.clients.grpc_api import Api
from console.components.widgets import plain_markdown
from console.presenters import examples as presenters
from console.presenters.formats import number
from console.session import Role, ahead, api, role, t
from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2

_EXAMPLES = "ask-examples"
_PASSAGES = 30


def start() -> str:
    """The question of an example that was chosen; empty for none."""
    sources_call = ahead(api, Api.askable)
    status_call = ahead(api, Api.status) if role() >= Role.VIEWER else None
    examples = _examples()
    try:
        sources = sources_call()
    except ServiceError:
        sources = []
    if not sources and not examples:
        st.text(t("Nothing can be asked yet: no source has a searchable document that you may read."))
    chosen = ""
    if examples:
        st.caption(t("For example"))
        for place, example in enumerate(examples):
            if st.button(example, key=f"example-{place}", icon=":material/arrow_forward:", type="tertiary"):
                chosen = example
    _covered(sources)
    if status_call is not None:
        with suppress(ServiceError):  # a question can be asked without it
            _not_covered(status_call())
    return chosen


def _examples() -> list[str]:
    """Read once in a session: looking at the page again must not search again."""
    if _EXAMPLES not in st.session_state:
        request = query_pb2.SearchRequest(
            query=t("How do I …? What is …?"), top_k=_PASSAGES, max_per_document=2, rerank=False
        )
        try:
            st.session_state[_EXAMPLES] = presenters.examples(api().search(request).passages, t)
        except ServiceError:
            return []
    found: list[str] = st.session_state[_EXAMPLES]
    return found


def _covered(sources: list[query_pb2.ListSourcesResponse.Source]) -> None:
    if sources:
        listed = " · ".join(f"{plain_markdown(item.name)} ({number(item.documents)})" for item in sources)
        st.caption(t("You can ask these sources (documents): {names}", names=listed))


def _not_covered(status: admin_pb2.GetStatusResponse) -> None:
    gaps = presenters.gaps(status.sources)
    if gaps:
        st.caption(t("Not covered: {count} documents that are not searchable yet or could not be read, in {names}.",
                     count=number(sum(gaps.values())), names=plain_markdown(", ".join(gaps))))  # fmt: skip
