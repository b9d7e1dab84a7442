"""A page of a document as a picture with the cited words marked, beside or above its text."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import explain, problem
from console.session import api, t
from ragproto.query.v2 import query_pb2

_LAST = "page-image"
"""The picture that was shown last, with what it was asked for: a page is drawn again with every click."""
_NO_PICTURE = frozenset({"PAGES_UNSUPPORTED", "ORIGINAL_NOT_FOUND", "ORIGINAL_CHANGED", "PAGE_NOT_FOUND"})
"""Causes of a document: the text is shown, and why there is no picture stands above it."""
PICTURED = "application/pdf", "image/"


def has_pages(media_type: str) -> bool:
    """Return whether pages of documents of this type can be shown."""
    return media_type.startswith(PICTURED)


def page_image(doc_id: str, page: int, start: int, end: int, *, key: str) -> None:
    """The page, and further ones to turn to; words of the span are marked on each."""
    turned = st.session_state.get(f"{key}-page", page)
    found = _load(doc_id, turned, start, end)
    if found is None:
        return
    caption = t("Page {page} of {pages}", page=found.page, pages=found.pages)
    if found.marks:
        caption = t("{page}; the cited words are marked", page=caption)
    elif end > start and found.page == page:
        caption = t("{page}; the cited words could not be found on the picture", page=caption)
    st.image(found.image, caption=caption, width="stretch", alt=caption)
    if found.pages > 1:
        st.pagination(found.pages, default=page, key=f"{key}-page")


def _load(doc_id: str, page: int, start: int, end: int) -> query_pb2.GetPageResponse | None:
    asked = (doc_id, page, start, end)
    known = st.session_state.get(_LAST)
    if known is not None and known[0] == asked:
        last: query_pb2.GetPageResponse = known[1]
        return last
    try:
        with st.spinner(t("Opening the page …")):
            found = api().page(doc_id, page, start, end)
    except ServiceError as error:
        if error.code in _NO_PICTURE:
            st.caption(t("The page cannot be shown as a picture."))
            explain(error.code, error.detail)
        else:
            problem("gateway", error)
        return None
    st.session_state[_LAST] = (asked, found)
    return found
