"""Access: who may come in, by which key, account or token, and who is signed in now."""

from __future__ import annotations

import streamlit as st

from console.components import access
from console.components.page_switch import page_title
from console.session import PlatformRole, platform, t, tenant

page_title("access")
everyone = False
if platform() >= PlatformRole.ADMIN:
    everyone = st.toggle(t("All tenants"), key="access-everyone", help=t("Off: only the tenant {name}.", name=tenant()))
keys, accounts, sessions, tokens = st.tabs([t("API keys"), t("Accounts"), t("Sessions"), t("Access tokens")])
with keys:
    access.keys(all_tenants=everyone)
with accounts:
    access.accounts(all_tenants=everyone)
with sessions:
    access.sessions(all_tenants=everyone)
with tokens:
    access.tokens(all_tenants=everyone)
