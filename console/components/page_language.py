"""The language of the page, for screen readers and hyphenation: Streamlit's own document always says English."""

from __future__ import annotations

import streamlit as st

_SCRIPT = "export default function ({ data }) { document.documentElement.lang = data.language }"
_component = st.components.v2.component("page_language", js=_SCRIPT)


def set_page_language(language: str) -> None:
    """Say in the document which language it is in."""
    _component(key="page-language", data={"language": language}, height=0)
