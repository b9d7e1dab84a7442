"""`/openapi.json`, and on a developer's machine Swagger UI at `/docs`.

Swagger UI comes from files of a package of the local stack; its policy forbids to fetch anything from elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from interfaces.documentation import read_page
from interfaces.settings import InterfacesSettings

DESCRIPTION = Path(__file__).with_name("openapi.json")
_PACKAGE = "swagger_ui"
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RAG platform: API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});
"""
_log = logging.getLogger(__name__)


def routes(settings: InterfacesSettings) -> list[Route]:
    """The description, and the page when it is wanted and its package is there."""
    found = [Route("/openapi.json", _description)]
    if not settings.browser_docs:
        return found
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        _log.warning("no page at /docs: the package swagger-ui-py is not installed")
        return found
    static = Path(spec.submodule_search_locations[0]) / "static"
    return [
        *found,
        Route("/docs", _page),
        Route("/docs/start.js", _start),
        *(Route(f"/docs/{name}", _file(static / name, kind)) for name, kind in _FILES.items()),
    ]


def _description(request: Request) -> Response:
    return read_page(DESCRIPTION).response(request, "application/json", {"cache-control": "max-age=300"})


def _page(_: Request) -> Response:
    return HTMLResponse(_PAGE, headers=_HEADERS)


def _start(_: Request) -> Response:
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


def _file(path: Path, kind: str) -> Callable[[Request], Response]:
    def send(request: Request) -> Response:
        return read_page(path).response(request, kind, {**_HEADERS, "cache-control": "max-age=3600"})

    return send
