"""GET /metrics and pages of JSON over HTTP, from a thread of its own so that a busy process cannot hide them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from rag_core.browser_guard import BrowserGuard
from rag_core.errors import Conflict, PermissionDenied, Reason

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_SOCKET_SECONDS = 10
Page = Callable[[], tuple[bool, Mapping[str, object]]]
"""A page of status: true when all is well (200), false when not (503), and the content of the page."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    timeout = _SOCKET_SECONDS  # a client that opens a connection and sends nothing must not keep its thread

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        return

    def version_string(self) -> str:
        return "rag-platform"


class StatusPages:
    """Serves /metrics and the pages, which are called from the server's threads. Port 0 takes a free one."""

    def __init__(
        self,
        address: str,
        port: int,
        setting: str,
        registry: CollectorRegistry,
        pages: Mapping[str, Page],
        guard: BrowserGuard,
    ) -> None:
        """Bind now. Raises `Conflict` (`PORT_TAKEN`), which names the setting of the port.

        A request to a host that `guard` does not know reads the status of a page and nothing else.
        """
        self._metrics = make_wsgi_app(registry)
        self._pages = pages
        self._guard = guard
        try:
            self._server = make_server(address, port, self._route, _Server, _QuietHandler)
        except OSError:
            raise Conflict(Reason.PORT_TAKEN, f"port {port} is taken ({setting})") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop and release the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _route(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return _json(start_response, "405 Method Not Allowed", {"error": "only GET"})
        if path != "/metrics" and path not in self._pages:
            return _json(start_response, "404 Not Found", {"error": f"try {', '.join(('/metrics', *self._pages))}"})
        refusal = self._refusal(environ)
        if path == "/metrics":
            if refusal:
                return _json(start_response, "403 Forbidden", refusal)
            pages: Iterable[bytes] = self._metrics(environ, start_response)
            return pages
        well, body = self._pages[path]()
        return _json(start_response, "200 OK" if well else "503 Service Unavailable", refusal or body)

    def _refusal(self, environ: WSGIEnvironment) -> Mapping[str, object]:
        """Empty when the request was sent to a host of ours: a page of a stranger's may read what it gets."""
        try:
            self._guard.check_host(environ.get("HTTP_HOST"))
        except PermissionDenied as error:
            return {"error": error.message, "reason": error.reason}
        return {}


def _json(start_response: StartResponse, status: str, body: Mapping[str, object]) -> Iterable[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
