"""Streamlit's page with the address of its server.

Without that address the page at `/sources` asks for its server at `/sources/_stcore/…` first, which the browser logs as
two errors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit
from starlette.responses import HTMLResponse

ADDRESSES = frozenset({"/", *(f"/{path.stem}" for path in (Path(__file__).parent / "screens").glob("*.py"))})
"""Where the page is asked for."""
_SCRIPT = "<script>window.__streamlit = { BACKEND_BASE_URL: `${window.location.origin}/` }</script>"


def index_page() -> HTMLResponse:
    """The page as an answer: one for each request, whose headers are added to."""
    return HTMLResponse(_html(), headers={"cache-control": "no-cache"})


@cache
def _html() -> str:
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    return html.replace("<head>", f"<head>{_SCRIPT}", 1)
