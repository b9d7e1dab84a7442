"""Tenants: create, suspend, export, erase, and where their text may go."""

from __future__ import annotations

import streamlit as st

from console.components.tenants import tenants
from console.session import t

st.title(t("Tenants"))
tenants()
