"""Pages that need no session: the sign-in and what stands for an address that is none."""

from __future__ import annotations

import html
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.i18n import ENGLISH, LANGUAGES, language_of, translate
from console.identity import MARK, PRODUCT, version

LANGUAGE = "language"
"""The parameter that changes the language."""
LANGUAGE_COOKIE = "rag_console_language"
_YEAR = 31_536_000
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 "Source Sans 3", system-ui, sans-serif;
--ground: #f2f5f9; --card: #fff; --text: #101828; --quiet: #475467; --line: #98a2b3; --link: #0b5cad; --alarm: #b42318 }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1622; --card: #1a2433; --text: #e9eef5; --quiet: #b3bfd0;
--line: #5b6b82; --link: #7cbcf7; --alarm: #ff9c92 } }
body { margin: 0; background: var(--ground); color: var(--text) } a { color: var(--link) }
header { display: flex; gap: .6rem; align-items: center; font-weight: 600 } header nav { margin-left: auto;
font-weight: 400 } header nav :is(a, b) { padding: .3rem .4rem }
main { box-sizing: border-box; max-width: 26rem; margin: 10vh auto 2rem; padding: 1.5rem 1.75rem;
background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
h1 { font-size: 1.5rem; margin: 1.25rem 0 .5rem }
footer { max-width: 26rem; margin: 0 auto 2rem; text-align: center; color: var(--quiet); font-size: .875rem }
p { margin: .5rem 0 } .quiet { color: var(--quiet); font-size: .875rem }
label { display: block; margin: 1rem 0 .25rem } details { margin-top: 1rem }
input, button { font: inherit; width: 100%; padding: .55rem;
box-sizing: border-box; border: 1px solid var(--line); border-radius: .5rem; background: transparent;
color: inherit } button { margin-top: 1.5rem; cursor: pointer; background: #0b5cad; color: #fff; border-color: #0b5cad }
[role=alert] { border-left: .3rem solid var(--alarm); padding-left: .6rem }
"""


def language_for(request: Request) -> str:
    """The language that a visitor chose, else what the browser prefers."""
    chosen = request.query_params.get(LANGUAGE) or request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else language_of(request.headers.get("accept-language", ENGLISH))


def plain_page(
    request: Request, title: str, body: str, status: int = 200, *, environment: str = "", following: str = ""
) -> HTMLResponse:
    """A page in the visitor's language; `body` is HTML. Its links to other languages keep `following`."""
    language = language_for(request)
    name = html.escape(translate(language, PRODUCT))
    where = " · ".join(filter(None, (translate(language, "Version {version}", version=version()), environment)))
    page = f"""<!doctype html><html lang="{language}"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)} · {name}</title>
<link rel="icon" href="data:,"><style>{_STYLE}</style>
<main><header>{MARK}<span>{name}</span><nav aria-label="Language / 语言">{_switch(language, following)}</nav></header>
<h1>{html.escape(title)}</h1>{body}</main><footer>{name} · {html.escape(where)}</footer></html>"""
    response = HTMLResponse(page, status, headers={"cache-control": "no-store"})
    if request.query_params.get(LANGUAGE) == language:
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, samesite="strict")
    return response


def _switch(language: str, following: str) -> str:
    """The languages; all but the one that is shown are links."""
    shown = []
    for key, name in LANGUAGES.items():
        query = html.escape(urlencode({LANGUAGE: key, **({"next": following} if following else {})}))
        link = f'<a href="?{query}" lang="{key}">{name}</a>'
        shown.append(f'<b aria-current="true">{name}</b>' if key == language else link)
    return " ".join(shown)
