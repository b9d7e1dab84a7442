"""The language of the page, for screen readers and hyphenation: Streamlit's own document always says English.

A cookie keeps it for the next visit and for the sign-in page.
"""

from __future__ import annotations

import streamlit as st

from console.plain_page import LANGUAGE_COOKIE

_SCRIPT = f"""export default function ({{ data }}) {{
  document.documentElement.lang = data.language
  document.cookie = `{LANGUAGE_COOKIE}=${{data.language}}; path=/; max-age=31536000; samesite=strict`
}}"""
_component = st.components.v2.component("page_language", js=_SCRIPT)


def set_page_language(language: str) -> None:
    """Say in the document which language it is in."""
    _component(key="page-language", data={"language": language}, height=0)
