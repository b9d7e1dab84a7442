"""The same search in two generations, side by side."""

from __future__ import annotations

from functools import partial

import streamlit as st

from console.session import api, t
from console.ui import look, table
from console.views import answers as views
from ragproto.query.v2 import query_pb2


def compare(request: query_pb2.SearchRequest) -> None:
    """Two generations with the passages of each, and what one finds that the other does not."""
    status = look("query server", lambda: api().status())
    if status is None:
        return
    active = [item.name for item in status.generations if item.state == "active"]
    names = active + [item.name for item in status.generations if item.state in {"ready", "building"}]
    if not names:
        st.caption(t("There is no generation yet."))
        return
    sides = st.columns(2, gap="medium")
    found = []
    for number, side in enumerate(sides):
        with side:
            label = t("First generation") if number == 0 else t("Second generation")
            name = st.selectbox(label, names, index=min(number, len(names) - 1), key=f"side-{number}")
            found.append(look("query server", partial(api().search_in, name, request)))
    passages = [list(item.passages) if item is not None else [] for item in found]
    for number, side in enumerate(sides):
        rows = views.compared_rows(passages[number], passages[1 - number])
        columns = {"rank": "#", "moved": t("Elsewhere"), "title": t("Title"), "score": t("Score"),
                   "text": t("Passage")}  # fmt: skip
        with side:
            table(rows, columns, empty=t("Nothing you may see matches this question."), key=f"side-rows-{number}")
    if len(names) == 1:
        st.caption(t("There is only one generation; build another on the page Index to compare."))
