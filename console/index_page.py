"""Streamlit's page with the address of its server and the console's style, and the page of an unknown address.

Without the address the page at `/sources` asks for its server at `/sources/_stcore/…` first, which the browser logs as
two errors.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path

import streamlit
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from console.i18n import translate
from console.plain_page import language_for, plain_page
from console.settings import ConsoleSettings

_SCRIPT = """<script>
window.__streamlit = { BACKEND_BASE_URL: `${window.location.origin}/` }
// Streamlit puts sections between the list of pages and its items: to screen readers it is a navigation of links.
const items = '[data-testid="stSidebarNavItems"]'
const mend = () => document.querySelectorAll(`${items}, ${items} li`).forEach((item) => { item.role = 'none' })
new MutationObserver(mend).observe(document, { childList: true, subtree: true })
</script>"""
_STATIC = Path(streamlit.__file__).parent / "static"
_OF_STREAMLIT = ("_stcore", "media", "component", "auth", "oauth2callback", "app",
                 *(item.name for item in _STATIC.iterdir()))  # fmt: skip


class _NoPage(StringConvertor):
    """Every path that neither Streamlit nor another route answers."""

    regex = f"(?!(?:{'|'.join(map(re.escape, _OF_STREAMLIT))})(?:/|$)).+"


register_url_convertor("no_page", _NoPage())


def index_routes(settings: ConsoleSettings) -> list[Route]:
    """The addresses of the pages, and all others; they stand after every other route of ours."""

    async def no_page(request: Request) -> Response:
        language = language_for(request)

        def word(text: str) -> str:
            return html.escape(translate(language, text))

        body = f"""<p>{word("This console has no page at this address. It may have moved.")}</p>
<p><a href="/ask">{word("Ask")}</a> · <a href="/">{word("Overview")}</a></p>"""
        title = translate(language, "Page not found")
        return plain_page(request, title, body, 404, environment=settings.environment)

    names = ("", *(path.stem for path in (Path(__file__).parent / "screens").glob("*.py") if path.stem != "overview"))
    return [
        Route("/overview", _first_page, methods=["GET"]),  # Streamlit knows it by the bare address alone
        *(Route(f"/{name}", _index_page, methods=["GET"]) for name in names),
        Route("/{path:no_page}", no_page, methods=["GET"]),
    ]


async def _index_page(_: Request) -> HTMLResponse:
    return HTMLResponse(_html(), headers={"cache-control": "no-cache"})


async def _first_page(request: Request) -> RedirectResponse:
    query = request.url.query
    return RedirectResponse(f"/?{query}" if query else "/", 308)


@cache
def _html() -> str:
    style = (Path(__file__).parent / "style.css").read_text("utf-8")
    return (_STATIC / "index.html").read_text("utf-8").replace("<head>", f"<head>{_SCRIPT}<style>{style}</style>", 1)
