"""Entry point of the console: `streamlit run console/app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

st.set_page_config(page_title="RAG platform", layout="wide")
_PAGES = Path(__file__).parent / "pages"
# No icon: Streamlit would fetch it as the page's favicon from a host on the internet.
st.navigation([st.Page(_PAGES / "overview.py", title="Overview", default=True)]).run()
