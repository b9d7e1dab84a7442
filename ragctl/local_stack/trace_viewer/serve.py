"""Run by the viewer's own interpreter: Arize Phoenix on one loopback port, behind the checks of our other pages.

By itself Phoenix opens a second port, for gRPC, on every address, takes requests by every host name and from every
page, and hands the keys of model providers that it finds in its environment to who opens its playground.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc.aio
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_INHERITED = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"}
_PLATFORM = str(Path(__file__).parents[3])
sys.path.append(_PLATFORM)  # for the guard, which needs no package; ours must not be found by those of the viewer
from rag_core.browser_guard import BrowserGuard, is_link  # noqa: E402
from rag_core.errors import PermissionDenied  # noqa: E402

sys.path.remove(_PLATFORM)


class Front(BaseHTTPMiddleware):
    """Refuses what a page of another site can make a browser send. Phoenix adds it to its application by its name."""

    _guard = BrowserGuard()

    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Answer a refusal, or hand the request on."""
        try:
            if is_link(request.method, request.headers):
                self._guard.check_host(request.headers.get("host"))
            else:
                self._guard.check_page(request.headers)
        except PermissionDenied as error:
            return PlainTextResponse(f"{error.reason}: {error.message}\n", 403)
        response = await call_next(request)
        response.headers["x-frame-options"] = "SAMEORIGIN"
        return response


def main() -> None:
    """Serve until SIGTERM."""
    for name in os.environ.keys() - _INHERITED:
        if not name.startswith("PHOENIX_"):
            del os.environ[name]
    make = grpc.aio.server

    def without_port(*arguments: object, **options: object) -> grpc.aio.Server:
        server = make(*arguments, **options)  # type: ignore[arg-type]
        server.add_insecure_port = lambda address: 0  # type: ignore[method-assign]
        return server

    grpc.aio.server = without_port
    sys.argv = ["phoenix", "serve"]
    runpy.run_module("phoenix.server.main", run_name="__main__")


if __name__ == "__main__":
    main()
