"""Links between pages that share one entry of the sidebar."""

from __future__ import annotations

import streamlit as st

from console.session import t

PAGES = "pages-of-this-role"
_SHARED = (
    (("traffic", "Traffic"), ("usage", "Usage")),
    (("index", "Index"), ("deployments", "Deployments")),
    (("access", "Access"), ("tenants", "Tenants")),
    (("audit", "Audit"), ("webhooks", "Webhooks")),
)


def page_title(name: str) -> None:
    """The title of a page, and links to the pages of its entry that this person may use."""
    shared = next(pages for pages in _SHARED if name in dict(pages))
    st.title(t(dict(shared)[name]))
    mine = [page for page in shared if page[0] in st.session_state.get(PAGES, ())]
    if len(mine) > 1:
        with st.container(horizontal=True, key="page-switch"):
            for other, label in mine:
                st.page_link(f"screens/{other}.py", label=t(label))
