"""Audit: who did what, when and why."""

from __future__ import annotations

import streamlit as st

from console.components.widgets import at, load_or_report, table, today
from console.presenters import records as views
from console.session import api, t

_PAGE_RECORDS = 100

st.title(t("Audit"))
with st.container(horizontal=True, vertical_alignment="bottom"):
    chosen = {
        "actor": st.text_input(t("Actor"), max_chars=256, key="a-actor").strip(),
        "action": st.text_input(t("Action (prefix, such as quarantine.)"), max_chars=64, key="a-action").strip(),
        "target": st.text_input(t("Object"), max_chars=256, key="a-target").strip(),
    }
if st.session_state.get("a-filter") != chosen:
    st.session_state["a-filter"], st.session_state["a-page"] = chosen, ""
page = st.session_state.get("a-page", "")
found = load_or_report("query server", lambda: api().audit(**chosen, limit=_PAGE_RECORDS, page_token=page))
if found is not None:
    rows = views.audit_rows(found.records)
    shown = [{**row, "at": at(row["at"])} for row in rows]
    columns = {"at": t("When"), "actor": t("Actor"), "action": t("Action"), "target": t("Object"),
               "outcome": t("Outcome"), "reason": t("Reason"), "details": t("Details")}  # fmt: skip
    table(shown, columns, empty=t("No entries."))
    with st.container(horizontal=True):
        if found.next_page_token and st.button(t("Older records")):
            st.session_state["a-page"] = found.next_page_token
            st.rerun()
        if page and st.button(t("Newest")):
            st.session_state["a-page"] = ""
            st.rerun()
        if rows:
            st.download_button("CSV", views.as_csv(shown), f"audit-{today()}.csv", "text/csv")
