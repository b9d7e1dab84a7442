"""The index: its generations, and building another one."""

from __future__ import annotations

import streamlit as st

from console.components.generations import build_generation, generations
from console.components.page_switch import page_title
from console.session import t

page_title("index")
generations()
with st.expander(t("Build a generation"), icon=":material/construction:"):
    build_generation()
st.page_link("screens/documents.py", label=t("Documents"), icon=":material/description:")
