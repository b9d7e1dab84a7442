"""`/llms.txt` and the pages that it names, as Markdown: what a program needs to write an integration by itself.

They are read and compressed once, so that a flood of readers costs little.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PACKED = Path(__file__).with_name("pages")
FOLDER = _PACKED if _PACKED.is_dir() else Path(__file__).resolve().parents[1] / "docs"
"""The folder of the pages: in the package, or beside it in a working copy."""
_TYPE = "text/markdown"
_HEADERS = {"cache-control": "max-age=300", "x-content-type-options": "nosniff"}
_RELATIVE = re.compile(r"\]\((?=[\w/-]+\.md\))")
_OF_THE_FILE = re.compile(r"(?m)^Links are relative to this file\..*$")


def routes() -> list[Route]:
    """The index, and every page."""
    return [Route("/llms.txt", _index), Route("/docs/{name:path}", _page)]


def index() -> str:
    """The index with the places of the pages here."""
    text = (FOLDER / "llms.txt").read_text("utf-8")
    said = "Every page is Markdown. The API is described at [/openapi.json](/openapi.json)."
    return _RELATIVE.sub("](/docs/", _OF_THE_FILE.sub(said, text))


def _index(request: Request) -> Response:
    return _index_page().response(request, _TYPE, _HEADERS)


def _page(request: Request) -> Response:
    path = _pages().get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return read_page(path).response(request, _TYPE, _HEADERS)


@cache
def _index_page() -> StaticPage:
    return page_of(index().encode())


@cache
def _pages() -> dict[str, Path]:
    """By name: what is asked for is looked up and never becomes a path."""
    return {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*.md")}


@dataclass(frozen=True, slots=True)
class StaticPage:
    """A body, and the same compressed."""

    body: bytes
    compressed: bytes

    def response(self, request: Request, media_type: str, headers: Mapping[str, str]) -> Response:
        """The page as this caller takes it."""
        headers = {**headers, "vary": "accept-encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.body, media_type=media_type, headers=headers)
        return Response(self.compressed, media_type=media_type, headers={**headers, "content-encoding": "gzip"})


def page_of(body: bytes) -> StaticPage:
    """The page with this body."""
    return StaticPage(body, gzip.compress(body, mtime=0))


@cache
def read_page(path: Path) -> StaticPage:
    """The page in a file, as it was when it was first asked for."""
    return page_of(path.read_bytes())
