"""Streamlit's page with the address of its server.

Without that address the page at `/sources` asks for its server at `/sources/_stcore/…` first, which the browser logs as
two errors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

_SCRIPT = "<script>window.__streamlit = { BACKEND_BASE_URL: `${window.location.origin}/` }</script>"


def index_routes() -> list[Route]:
    """The addresses of the pages."""
    names = ("", *(path.stem for path in (Path(__file__).parent / "screens").glob("*.py")))
    return [Route(f"/{name}", _index_page, methods=["GET"]) for name in names]


async def _index_page(_: Request) -> HTMLResponse:
    return HTMLResponse(_html(), headers={"cache-control": "no-cache"})


@cache
def _html() -> str:
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    return html.replace("<head>", f"<head>{_SCRIPT}", 1)
