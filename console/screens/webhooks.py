"""Webhooks: where events are sent, and what became of each message."""

from __future__ import annotations

import streamlit as st

from console.components import webhooks
from console.components.page_switch import page_title
from console.session import PlatformRole, platform, t, tenant

page_title("webhooks")
st.caption(
    t("Other systems are notified of documents, sources, generations and alerts. A message has ids, locators and"
      " reasons, and never text of a document.")
)  # fmt: skip
everyone = False
if platform() >= PlatformRole.ADMIN:
    everyone = st.toggle(
        t("All tenants"), key="webhooks-everyone", help=t("Off: only the tenant {name}.", name=tenant())
    )
subscriptions, deliveries = st.tabs([t("Subscriptions"), t("Deliveries")])
with subscriptions:
    webhooks.subscriptions(all_tenants=everyone)
with deliveries:
    webhooks.deliveries(all_tenants=everyone)
