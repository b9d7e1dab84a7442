"""Responses that are the same for every caller: read and compressed once, so that a flood of readers costs little."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response


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
