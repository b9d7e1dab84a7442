"""Usage: what tenants and API keys used, and the budgets that limit it."""

from __future__ import annotations

import streamlit as st

from console.components.page_switch import page_title
from console.components.usage import budgets, days
from console.components.widgets import at, load_or_report
from console.i18n import N_
from console.session import PlatformRole, api, platform, t, tenant

_DAYS = N_({1: "Today", 7: "7 days", 30: "30 days", 90: "90 days"})

page_title("usage")
everyone = False
if platform() >= PlatformRole.READER:
    everyone = st.toggle(t("All tenants"), key="usage-everyone", help=t("Off: only the tenant {name}.", name=tenant()))
span = st.segmented_control(
    t("Period"), list(_DAYS), default=1, key="usage-days", required=True, format_func=lambda number: t(_DAYS[number])
)
found = load_or_report("query server", lambda: api().usage(span or 1, all_tenants=everyone))
if found is not None:
    st.caption(t("Days begin at midnight in UTC; budgets of a day renew at {time}.", time=at(found.renews_at.seconds)))
    budgets(found)
    days(found)
