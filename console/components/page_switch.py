"""Links between pages that share one entry of the sidebar."""

from __future__ import annotations

import streamlit as st

from console.i18n import N_
from console.session import t

PAGES = "pages-of-this-role"
_SHARED = (
    (("traffic", N_("Traffic")), ("usage", N_("Usage"))),
    (("index", N_("Index")), ("deployments", N_("Deployments"))),
    (("access", N_("Access")), ("tenants", N_("Tenants"))),
    (("audit", N_("Audit")), ("webhooks", N_("Webhooks"))),
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
