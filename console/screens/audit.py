"""Audit: who did what, when and why."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import streamlit as st

from console.components.page_switch import page_title
from console.components.widgets import at, attempt, load_or_report, page_buttons, table, today
from console.presenters import records as presenters
from console.session import PlatformRole, api, platform, t, zone
from ragproto.admin.v1 import operations_pb2 as ops

_PAGE_RECORDS = 100
_EXPORT_RECORDS, _EXPORT_MOST = 500, 10_000


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), zone())


def _text(name: str, label: str, most: int) -> str:
    """A filter that the address of the page keeps under its name, so that other pages can link to what they mean."""
    key = f"a-{name}"
    if key not in st.session_state:
        st.session_state[key] = st.query_params.get(name, "")[:most]
    text = st.text_input(label, max_chars=most, key=key, width="stretch" if name != "tenant" else 200).strip()
    if text:
        st.query_params[name] = text
    elif name in st.query_params:
        del st.query_params[name]
    return text


def _chosen() -> dict[str, Any]:
    """The filters, as the API takes them; days are those of the session's time zone."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        found: dict[str, Any] = {
            "actor": _text("actor", t("Actor"), 256),
            "action": _text("action", t("Action (prefix, such as quarantine.)"), 64),
            "target": _text("target", t("Object"), 256),
            "outcome": _text("outcome", t("Outcome (ok, or a reason code)"), 64),
        }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.date_input(t("From"), value=None, key="a-from", width=200)
        last = st.date_input(t("To"), value=None, key="a-to", width=200)
        if platform() >= PlatformRole.READER:
            found["tenant"] = _text("tenant", t("Tenant (empty: yours)"), 64)
    if isinstance(first, date):
        found["since"] = _midnight(first)
    if isinstance(last, date):
        found["until"] = _midnight(last + timedelta(days=1))
    return found


def _rows(records: list[ops.AuditRecord]) -> list[dict[str, Any]]:
    return [{**row, "at": at(row["at"])} for row in presenters.audit_rows(records)]


def _export(chosen: dict[str, Any]) -> None:
    """A file of everything that the filters let pass, read page by page when it is asked for."""
    if not st.button(t("Export CSV"), icon=":material/download:"):
        return
    records: list[ops.AuditRecord] = []
    page = ""
    with st.spinner(t("Reading the audit log …")):
        while len(records) < _EXPORT_MOST:
            found = attempt(lambda: api().audit(**chosen, page_size=_EXPORT_RECORDS, page_token=page))  # noqa: B023
            if found is None:
                return
            records += found.records
            page = found.next_page_token
            if not page:
                break
    if page:
        st.warning(t("Only the newest {count} entries are in the file; choose a shorter time.", count=len(records)))
    label = t("Download {count} entries", count=len(records))
    st.download_button(label, presenters.as_csv(_rows(records)), f"audit-{today()}.csv", "text/csv")


page_title("audit")
chosen = _chosen()
if st.session_state.get("a-filter") != chosen:
    st.session_state["a-filter"], st.session_state["a-page"] = chosen, ""
page = st.session_state.get("a-page", "")
found = load_or_report("query server", lambda: api().audit(**chosen, page_size=_PAGE_RECORDS, page_token=page))
if found is not None:
    shown = _rows(list(found.records))
    columns = {"at": t("When"), "actor": t("Actor"), "action": t("Action"), "target": t("Object"),
               "outcome": t("Outcome"), "reason": t("Reason"), "details": t("Details")}  # fmt: skip
    table(shown, columns, empty=t("No entries."))
    with st.container(horizontal=True):
        page_buttons("a-page", found.next_page_token, t("Older records"))
        if shown:
            _export(chosen)
