"""The lists of the page Usage, and the form that sets a budget."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.components.widgets import attempt, table
from console.presenters import usage as presenters
from console.session import PlatformRole, api, platform, t, tenant
from ragproto.admin.v1 import usage_pb2 as pb

_DONE = "usage-budget-set"


def budgets(found: pb.ListUsageResponse) -> None:
    """Budgets and what of them is used."""
    st.header(t("Budgets"))
    for name, used_up in presenters.trouble(found):
        if used_up:
            st.error(t("The budget of {name} is used up.", name=name))
        else:
            st.warning(t("{name} has used 80 % of a budget or more.", name=name))
    columns = {
        "tenant": t("Tenant"),
        "key": t("API key"),
        "calls": st.column_config.NumberColumn(t("Calls a day"), format="localized"),
        "calls_used": _share(t("Used today")),
        "tokens": st.column_config.NumberColumn(t("Model tokens a day"), format="localized"),
        "tokens_used": _share(t("Used today")),
        "documents": st.column_config.NumberColumn(t("Stored documents"), format="localized"),
        "documents_used": _share(t("In use")),
    }
    table(presenters.budget_rows(found), columns, empty=t("No budget limits this tenant."))
    if platform() >= PlatformRole.ADMIN:
        _set()
    else:
        st.caption(t("Budgets are set by operators of the platform."))


def _share(label: str) -> Any:
    return st.column_config.ProgressColumn(label, min_value=0, max_value=100, format="%.0f %%")


def _set() -> None:
    with st.expander(t("Set a budget"), icon=":material/tune:"), st.form("usage-set-budget", border=False):
        st.caption(
            t("It replaces the one before. An empty field is no limit; without any limit the budget is removed.")
        )
        left, right = st.columns(2, gap="medium")
        whose = left.text_input(t("Tenant"), value=tenant(), max_chars=256, key="usage-tenant")
        key_id = left.text_input(t("API key (empty: the whole tenant)"), max_chars=64, key="usage-key")
        why = left.text_input(t("Reason (for the audit log)"), max_chars=500, key="usage-why")
        calls = right.number_input(t("Calls a day"), min_value=0, value=None, step=1, key="usage-calls")
        tokens = right.number_input(t("Model tokens a day"), min_value=0, value=None, step=1, key="usage-tokens")
        documents = right.number_input(
            t("Stored documents"), min_value=0, value=None, step=1, key="usage-documents",
            help=t("Of a tenant only, not of an API key."),
        )  # fmt: skip
        if st.form_submit_button(t("Set budget"), type="primary"):
            limits = {"calls_per_day": calls, "model_tokens_per_day": tokens, "documents": documents}
            request = presenters.request_of(whose.strip(), key_id.strip(), limits, why)
            if attempt(lambda: api().set_budget(request)) is not None:
                st.session_state[_DONE] = True
                st.rerun()
    if st.session_state.pop(_DONE, False):
        st.success(t("The budget is set; every server follows within two seconds."))


def days(found: pb.ListUsageResponse) -> None:
    """Show the usage by day, tenant and key."""
    st.header(t("Usage"))
    number = "localized"
    columns = {
        "day": t("Day"),
        "tenant": t("Tenant"),
        "key": t("API key"),
        "calls": st.column_config.NumberColumn(t("Calls"), format=number),
        "refused": st.column_config.NumberColumn(t("Refused by a budget"), format=number),
        "read": st.column_config.NumberColumn(t("Tokens read by a model"), format=number),
        "written": st.column_config.NumberColumn(t("Tokens written by a model"), format=number),
    }
    table(presenters.usage_rows(found.rows), columns, empty=t("No calls in this period."))
    if found.next_page_token:
        st.caption(t("Only the first {count} rows are shown.", count=len(found.rows)))
    stored = [{"tenant": one.tenant, "documents": one.documents} for one in found.documents]
    table(
        stored,
        {"tenant": t("Tenant"), "documents": st.column_config.NumberColumn(t("Stored documents"), format=number)},
        empty=t("No documents are stored."),
    )
